/** Text from elsewhere, made harmless to whoever looks at it: characters that a terminal obeys, or that hide others. */

/**
 * Control characters, those that turn the direction of text around or cannot be seen, and Unicode's own ends of a line.
 * Unicode Standard Annex 44, general categories Cc, Cf, Zl and Zp.
 */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** So that it can neither move the cursor nor pretend to be another line. */
export function plain(text: string): string {
  return text.replaceAll(OBEYED, '?');
}

/**
 * The same for text in JSON, without a loss: RFC 8259, section 7, lets a writer leave all but the first 32 as they are.
 *
 * @param json may end with a newline, which stays
 */
export function plainJson(json: string): string {
  return json.replaceAll(OBEYED, (character) => (character === '\n' ? character : escaped(character)));
}

function escaped(character: string): string {
  // One that takes two UTF-16 units is written as both.
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
