import type { Queryable } from '../database/database';

/** Events tell what took effect although the process died before it could note it here. */
const handled = {
  name: 'inbox-handled',
  text: `
    SELECT id FROM platform.inbox WHERE id = ANY ($1::text[])
    UNION SELECT causation_id FROM platform.event WHERE causation_id = ANY ($1::text[]) AND actor LIKE 'broker:%'`,
};

const remember = {
  name: 'inbox-remember',
  text: 'INSERT INTO platform.inbox (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING',
};

const forget = {
  name: 'inbox-forget',
  text: `DELETE FROM platform.inbox WHERE handled_at < clock_timestamp() - interval '30 days'`,
};

/** The ids of messages that were dealt with, so that one that is sent or delivered again has no second effect. */
export const Inbox = {
  /** Those of the ids that were dealt with. */
  handled: async (database: Queryable, ids: readonly string[]): Promise<Set<string>> =>
    new Set((await database.query<{ id: string }>(handled, [ids])).map(({ id }) => id)),

  remember: async (database: Queryable, ids: readonly string[]): Promise<void> => {
    if (ids.length > 0) await database.query(remember, [ids]);
  },

  /** Forgets what is older than thirty days, unless it left an event. */
  forgetOld: async (database: Queryable): Promise<void> => {
    await database.query(forget);
  },
};
