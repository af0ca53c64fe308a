/** What a mail says, from whom and to whom. */
export interface Letter {
  readonly sender: string;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
}

/** A letter with words where its subject and body name them: `<sku>` stands for the word called `sku`. */
export function filled(letter: Letter, words: Readonly<Record<string, string | number>>): Letter {
  const fill = (text: string): string =>
    text.replaceAll(/<(\w+)>/g, (place, name: string) => (Object.hasOwn(words, name) ? String(words[name]) : place));
  return { ...letter, subject: fill(letter.subject), body: fill(letter.body) };
}
