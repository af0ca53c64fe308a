import { BadRequestException, HttpException } from '@nestjs/common';
import { DomainError, type ErrorKind } from '../../src/kernel/domain-error';
import { OutcomeUnknown, Overloaded } from '../../src/kernel/unit-of-work';
import { HttpError, InvalidRequest, Problem, problemOf } from '../../src/platform/http/problem';

describe('A problem', () => {
  it('tells a domain error with its details as further members', () => {
    const error = new DomainError('batch-exists', 'conflict', 'Batch b1 exists with other content.', { ref: 'b1' });
    expect(problemOf(error, 'r1')).toEqual({
      type: 'urn:batchwise:problem:batch-exists',
      title: 'Batch exists',
      status: 409,
      detail: 'Batch b1 exists with other content.',
      code: 'batch-exists',
      ref: 'b1',
      instance: 'urn:batchwise:request:r1',
    });
  });

  it.each<[ErrorKind, number]>([
    ['invalid', 400],
    ['not-found', 404],
    ['conflict', 409],
    ['unavailable', 503],
  ])('of the kind %s has the status %d', (kind, status) => {
    expect(problemOf(new DomainError('some-code', kind, 'Some.'), 'r1').status).toBe(status);
  });

  it('keeps its standard members, whatever the details are called', () => {
    const error = new DomainError('some-code', 'conflict', 'Some.', {
      status: 'promised',
      type: 'x',
      instance: 'y',
      code: 'z',
    });
    expect(problemOf(error, 'r1')).toMatchObject({
      status: 409,
      type: 'urn:batchwise:problem:some-code',
      code: 'some-code',
      instance: 'urn:batchwise:request:r1',
    });
  });

  it('tells unexpected errors nothing but that they happened', () => {
    for (const error of [
      new Error('password=secret'),
      new TypeError('x is undefined'),
      'text',
      null,
      undefined,
      { status: 400 },
    ]) {
      const problem = problemOf(error, 'r1');
      expect(problem).toMatchObject({ status: 500, code: 'internal' });
      expect(JSON.stringify(problem)).not.toMatch(/secret|undefined|text/);
    }
  });

  it('names the places of an invalid request', () => {
    const errors = [
      { path: 'lines.3.qty', message: 'Too small' },
      { path: 'mode', message: 'Invalid' },
    ];
    expect(problemOf(new InvalidRequest(errors), 'r1')).toMatchObject({
      status: 400,
      code: 'invalid-request',
      detail: 'lines.3.qty: Too small (and 1 more)',
      errors,
    });
  });

  it('gives what the framework refuses a code and a sentence of its own', () => {
    const cause = Object.assign(new Error('internals'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 });
    expect(problemOf(cause, 'r1')).toMatchObject({ status: 413, code: 'body-too-large' });
    expect(problemOf(new HttpException('internals', 413, { cause }), 'r1')).toMatchObject({
      status: 413,
      code: 'body-too-large',
    });
    expect(problemOf(new BadRequestException('internals'), 'r1')).toMatchObject({
      status: 400,
      code: 'bad-request',
      detail: 'Bad Request.',
    });
  });

  it('always is what the documentation says', () => {
    const errors = [
      new Overloaded(),
      new OutcomeUnknown(),
      new HttpError(415, 'unsupported-media-type', 'No.'),
      new Error('no'),
    ];
    for (const error of errors) expect(Problem.safeParse(problemOf(error, 'r1')).success).toBe(true);
  });
});
