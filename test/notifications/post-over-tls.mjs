/*
 * Posts to webhooks as the service does, in a process of its own, which trusts what NODE_EXTRA_CA_CERTS says. Every name leads to
 * 127.0.0.1. Takes the URLs as arguments, and prints, as JSON, what came of each, and which names were looked up.
 */
import destinations from '../../dist/notifications/messaging/destinations.js';
import webhookPost from '../../dist/notifications/messaging/webhook-post.js';
import allowList from '../../dist/platform/allow-list.js';

const lookedUp = [];
const loopback = new destinations.Destinations(allowList.parseAllowList('127.0.0.1'), (host, _options, callback) => {
  lookedUp.push(host);
  callback(null, [{ address: '127.0.0.1', family: 4 }]);
});
const outcomes = [];
for (const url of process.argv.slice(2)) {
  const options = { destinations: loopback, signal: AbortSignal.timeout(10_000) };
  outcomes.push(await webhookPost.post(new URL(url), {}, '{}', options).catch(({ message }) => message));
}
console.log(JSON.stringify({ outcomes, lookedUp }));
