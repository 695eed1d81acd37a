// How many segments a text costs. One character outside GSM-7 makes the whole text UCS-2.

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENDED = new Set("\f^{}\\[~]|€");

/** Counts units into segments of `per`; a character that takes two is never split across them. */
function fill(widths, single, per) {
  const total = widths.reduce((sum, width) => sum + width, 0);
  if (total <= single) return { units: total, segments: total ? 1 : 0, room: single };
  let segments = 1;
  let used = 0;
  for (const width of widths) {
    if (used + width > per) {
      segments += 1;
      used = 0;
    }
    used += width;
  }
  return { units: total, segments, room: segments * per };
}

/** `{encoding, units, segments, room, culprits}` of a text; culprits are the characters that force UCS-2. */
export function measure(text) {
  const characters = [...text];
  const culprits = [...new Set(characters.filter((c) => !BASIC.has(c) && !EXTENDED.has(c)))];
  if (culprits.length === 0) {
    return { encoding: "GSM-7", culprits, ...fill(characters.map((c) => (EXTENDED.has(c) ? 2 : 1)), 160, 153) };
  }
  return { encoding: "UCS-2", culprits, ...fill(characters.map((c) => c.length), 70, 67) };
}

/** The longest text the provider takes, in characters as it counts them. */
export const LONGEST = 1600;

/** One line under the reply box. */
export function describe(text) {
  const { encoding, segments, units, room, culprits } = measure(text);
  const characters = [...text].length;
  if (characters > LONGEST) return `${characters} characters: ${LONGEST} is the most one text can hold`;
  if (segments === 0) return "";
  const cost = `${segments} ${segments === 1 ? "segment" : "segments"}, ${units} of ${room}`;
  return encoding === "GSM-7" ? cost : `${cost}, costlier because of ${culprits.slice(0, 4).join(" ")}`;
}
