import { createHmac } from 'node:crypto';

const prefix = 'whsec_';

/**
 * The header `webhook-signature` of Standard Webhooks: one signature for each secret, separated by spaces.
 * @param secrets `whsec_…`, in base64
 * @param timestamp in seconds
 */
export const signatureOf = (secrets: readonly string[], id: string, timestamp: number, body: string): string =>
  secrets
    .map((secret) => createHmac('sha256', Buffer.from(secret.slice(prefix.length), 'base64')))
    .map((hmac) => `v1,${hmac.update(`${id}.${timestamp}.${body}`).digest('base64')}`)
    .join(' ');
