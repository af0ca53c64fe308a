import { toCloudEvent } from '../../src/platform/event-log/cloud-event';

const stored = {
  id: '0199f4b3-0a77-7d10-9b3e-6a1f0c2d4e5f',
  stream: 'product:SMALL:TABLE',
  version: 7,
  type: 'allocation.allocated.v1',
  data: { sku: 'SMALL:TABLE', qty: 10 },
  occurredAt: '2026-11-22T10:00:00.123456Z',
  correlationId: 'request-1',
};

describe('toCloudEvent', () => {
  it('tells everything that others may know of an event', () => {
    expect(toCloudEvent(stored)).toEqual({
      specversion: '1.0',
      id: stored.id,
      source: '/batchwise/product',
      type: 'allocation.allocated.v1',
      subject: 'SMALL:TABLE',
      time: '2026-11-22T10:00:00.123456Z',
      datacontenttype: 'application/json',
      dataschema: 'urn:batchwise:event:allocation.allocated.v1',
      version: 7,
      sequence: '0000000000000007',
      correlationid: 'request-1',
      data: stored.data,
    });
  });

  it('tells the kind of thing by its source, as the versions of one subject count anew for each', () => {
    const event = toCloudEvent({ ...stored, stream: 'threshold:TABLE-*' });
    expect([event.source, event.subject]).toEqual(['/batchwise/threshold', 'TABLE-*']);
  });

  it('has only attributes whose names CloudEvents allows, and leaves out what is not known', () => {
    const event = toCloudEvent({ ...stored, correlationId: null });
    expect(Object.keys(event)).not.toContain('correlationid');
    for (const name of Object.keys(event)) expect(name).toMatch(/^[a-z0-9]{1,20}$/);
  });

  it('has sequences that sort like versions', () => {
    const sequences = [9, 10, 100, 99, 1].map((version) => toCloudEvent({ ...stored, version }).sequence);
    expect(sequences.sort().map(Number)).toEqual([1, 9, 10, 99, 100]);
  });
});
