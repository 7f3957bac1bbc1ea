/** A paragraph that fills a chunk: no second one fits into it. */
export function paragraph(topic: string): string {
  return `${topic}: ${"a loja atende de segunda a sexta e responde por mensagem no mesmo dia. ".repeat(9)}`.trim();
}

/** A text of five chunks, one for each paragraph. */
export const FIVE_PARAGRAPHS = ["Entregas", "Trocas", "Pagamentos", "Garantia", "Horários"].map(paragraph).join("\n\n");

/** A training of one chunk. */
export function smallTraining(id: string): { id: string; content: string } {
  return { id, content: `a loja ${id}` };
}
