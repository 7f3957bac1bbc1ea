/** The texts shared by `kill.int.test.ts` and the process that it kills. */
import { FIVE_PARAGRAPHS, paragraph } from "../support/texts.js";

export const DIMENSIONS = 16;
export const ID = "a";
export const ORIGINAL = FIVE_PARAGRAPHS;
/** Adds a chunk, removes one and changes the metadata of the others, so every part of a swap has work. */
export const EDITED = `${paragraph("Novidades")}\n\n${FIVE_PARAGRAPHS.split("\n\n").slice(0, 4).join("\n\n")}`;
