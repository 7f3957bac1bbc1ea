/** The texts that `kill.int.test.ts` and the process that it kills agree on. */
import { FIVE_PARAGRAPHS, paragraph } from "../support/texts.js";

export const DIMENSIONS = 16;
export const ID = "a";
export const ORIGINAL = FIVE_PARAGRAPHS;
/** One chunk is new, one is gone, and the metadata of the others changes: every statement of a swap has work. */
export const EDITED = `${paragraph("Novidades")}\n\n${FIVE_PARAGRAPHS.split("\n\n").slice(0, 4).join("\n\n")}`;
