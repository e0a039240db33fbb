// Elements from plain values. A text becomes a text node and nothing else: whatever a model wrote is never markup.

// Characters that would hide, reorder or end a text are shown by their number.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

function shown(text) {
  return text.replace(/\r\n/g, "\n").replace(UNSEEN, (character) => {
    const number = character.codePointAt(0);
    if (number < 0x20) return String.fromCodePoint(0x2400 + number);
    return `\u27e8U+${number.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  const kept = children.flat(2).filter((child) => child !== null && child !== undefined && child !== "");
  made.append(...kept.map((child) => (typeof child === "string" ? shown(child) : child)));
  return made;
}

const number = new Intl.NumberFormat("en");
const plural = (count, word) => `${number.format(count)} ${word}${count === 1 ? "" : "s"}`;
const words = (reason) => (reason || "unfinished").replaceAll("_", " ");
