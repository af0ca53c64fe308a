/** What a credential can allow. */
export const grantable = ['stock:read', 'stock:write', 'allocate', 'events:read', 'ops'] as const;

export type Grant = (typeof grantable)[number];

/** What a credential must allow for an operation. `public`: no credential is asked for. */
export type Scope = Grant | 'public';

export const isGrant = (text: string): text is Grant => (grantable as readonly string[]).includes(text);
