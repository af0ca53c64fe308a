import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** Milliseconds that a client may take nothing of what is there for it. */
const patience = 30_000;

/**
 * Answers with texts as they come, no faster than the client takes them: they are asked for one at a time. A client that takes
 * nothing for 30 s is cut off. Texts that throw cut the answer off, too.
 */
export function streamAnswer(reply: FastifyReply, type: string, texts: AsyncIterable<string>): void {
  const taken = takenInTime(texts, () => reply.raw.destroy());
  reply.type(type).send(Readable.from(taken, { objectMode: false }));
}

async function* takenInTime(texts: AsyncIterable<string>, cutOff: () => void): AsyncGenerator<string> {
  for await (const text of texts) {
    const timer = setTimeout(cutOff, patience);
    try {
      yield text;
    } finally {
      clearTimeout(timer);
    }
  }
}
