import { type ClientBase, type Connection, Query } from 'pg';

/** What the driver's connection does beside what its types tell. */
interface CopyingConnection extends Connection {
  sendCopyFromChunk(data: Buffer): void;
  endCopyFrom(): void;
}

/** The driver's own class for a statement: in pipeline mode it takes no other. */
class CopyIn extends Query {
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

/**
 * Runs `COPY … FROM STDIN`. Its data are sent without waiting for the server to ask for them: so it shares its round trip with what
 * was sent before and behind it. A server that refuses the statement drops the data.
 * @param data in COPY's text format
 */
export const copyIn = (client: ClientBase, text: string, data: string): Promise<void> =>
  new Promise((resolve, reject) =>
    client.query(new CopyIn(text, data, (error) => (error ? reject(error) : resolve()))),
  );
