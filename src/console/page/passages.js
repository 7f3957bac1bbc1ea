import { make } from "./elements.js";

/** The longest text that is shown before and after a passage, in characters. */
const MAX_CONTEXT = 320;

/**
 * A found passage with one paragraph before and after it, and with the words of the question marked.
 *
 * @param found - a chunk as the search returns it, with its neighbors
 */
export function passage(found) {
  const { content, chunk, start, matches = [] } = found;
  const from = chunk ? chunk.start - start : 0;
  const to = chunk ? chunk.end - start : content.length;
  const before = paragraphBefore(content, from);
  const after = paragraphAfter(content, to);
  return make(
    "div",
    { class: "passage" },
    before.from < before.to ? context(content, before, matches, before.isCut ? "start" : "") : undefined,
    make("blockquote", {}, marked(content, { from, to }, matches)),
    after.from < after.to ? context(content, after, matches, after.isCut ? "end" : "") : undefined,
  );
}

/** A part of a text, with the places that are marked in it. */
export function marked(content, { from, to }, matches) {
  const parts = [];
  let done = from;
  for (const { start, end } of matches) {
    if (start < done || end > to) continue;
    parts.push(content.slice(done, start), make("mark", { text: content.slice(start, end) }));
    done = end;
  }
  parts.push(content.slice(done, to));
  return parts;
}

function context(content, range, matches, cut) {
  return make(
    "p",
    { class: "context" },
    cut === "start" ? "… " : "",
    marked(content, range, matches),
    cut === "end" ? " …" : "",
  );
}

/** The paragraph that ends before a place, or its last part. */
function paragraphBefore(content, place) {
  const text = content.slice(0, place);
  const to = text.trimEnd().length;
  const paragraph = text.slice(0, to).lastIndexOf("\n\n") + 1;
  const start = paragraph === 0 ? 0 : paragraph + 1;
  if (to - start <= MAX_CONTEXT) return { from: start, to, isCut: false };
  const space = text.indexOf(" ", to - MAX_CONTEXT);
  return { from: space < 0 || space >= to ? to - MAX_CONTEXT : space + 1, to, isCut: true };
}

/** The paragraph that begins after a place, or its first part. */
function paragraphAfter(content, place) {
  const text = content.slice(place);
  const from = place + text.length - text.trimStart().length;
  const paragraph = content.indexOf("\n\n", from);
  const end = paragraph < 0 ? content.length : paragraph;
  if (end - from <= MAX_CONTEXT) return { from, to: end, isCut: false };
  const space = content.lastIndexOf(" ", from + MAX_CONTEXT);
  return { from, to: space <= from ? from + MAX_CONTEXT : space, isCut: true };
}
