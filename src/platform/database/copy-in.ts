import { type Connection, Query } from 'pg';

/** What the driver's connection does beside what its types tell. */
interface CopyingConnection extends Connection {
  sendCopyFromChunk(data: Buffer): void;
  endCopyFrom(): void;
}

/**
 * `COPY … FROM STDIN` together with its data, sent without waiting for the server to ask for them: so it shares its round trip with
 * what was sent before and behind it. A server that refuses the statement drops the data.
 */
export class CopyIn extends Query {
  constructor(text: string, data: string, done: (error?: Error) => void) {
    super(text, done);
    this.submit = (connection) => {
      const { stream } = connection;
      stream.cork();
      connection.query(text);
      (connection as CopyingConnection).sendCopyFromChunk(Buffer.from(data));
      (connection as CopyingConnection).endCopyFrom();
      stream.uncork();
    };
  }

  /** The data are on their way. */
  handleCopyInResponse(): void {}
}
