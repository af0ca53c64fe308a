import http, { type OutgoingHttpHeaders, type RequestOptions } from 'node:http';
import https from 'node:https';
import type { Destinations } from './destinations';

/** An answer is of no interest beyond its status: what is longer is not waited for. Bytes. */
const answerMax = 64 * 1024;

/** A connection of its own for each request, and no proxy, whatever the environment says. */
const plain = new http.Agent({ keepAlive: false });
const secure = new https.Agent({ keepAlive: false });

/**
 * Sends a body to a URL, without following redirects.
 * @param signal ends it, wherever it is: looking up, connecting, sending, reading
 * @returns the status of the answer, once that is read, or is longer than anyone reads
 * @throws DestinationRefused, or whatever kept the answer from coming
 */
export async function post(
  url: URL,
  headers: OutgoingHttpHeaders,
  body: string,
  { destinations, signal }: { readonly destinations: Destinations; readonly signal: AbortSignal },
): Promise<number> {
  destinations.require(url);
  const options: RequestOptions = {
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    lookup: destinations.lookupFor(url),
    signal,
  };
  const request =
    url.protocol === 'http:'
      ? http.request(url, { ...options, agent: plain })
      : https.request(url, { ...options, agent: secure });
  return new Promise((resolve, reject) => {
    request.on('response', (response) => {
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= answerMax) return;
        resolve(response.statusCode!);
        request.destroy();
      });
      response.on('end', () => resolve(response.statusCode!));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.on('close', () => reject(new Error('the connection was closed before the answer had ended')));
    request.end(body);
  });
}
