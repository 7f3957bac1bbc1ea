import { createAgent } from "langchain";
import { expect, it } from "vitest";
import { passagesMiddleware } from "../../examples/support/answering.js";
import { citedParts, firstCitations, type StreamedCitation } from "../../examples/support/cited-parts.js";
import { StreamingModel } from "../../examples/support/shop.js";
import { describeOnServerOrEmbedded } from "../support/databases.js";
import { FIVE_PARAGRAPHS, openTestIndex } from "../support/index.js";

describeOnServerOrEmbedded("an answer that streams", (database) => {
  it("cites passages by the places of their texts in the trainings, while the model is still writing", async () => {
    const { index } = await openTestIndex(database);
    await index.upsertTrainings([
      { id: "longo", content: FIVE_PARAGRAPHS, metadata: { tag: "longo" } },
      { id: "curto", content: "Uma frase curta.", metadata: { tag: "curto" } },
    ]);
    const contents: Record<string, string> = { longo: FIVE_PARAGRAPHS, curto: "Uma frase curta." };
    let prompt = "";
    const model = new StreamingModel((given) => {
      prompt = given;
      return "Primeiro [1], depois [2, 3] e [99].";
    });
    const agent = createAgent({ model, middleware: [passagesMiddleware(index, { search: { k: 3 } })] });
    const question = FIVE_PARAGRAPHS.split("\n\n")[3] ?? "";
    const run = await agent.streamEvents({ messages: [{ role: "user", content: question }] }, { version: "v3" });
    const citations = await firstCitations(run.values);
    const cited: StreamedCitation[] = [];
    let text = "";
    for await (const message of run.messages) {
      for await (const part of citedParts(message.text, citations)) {
        if (part.type === "text") text += part.text;
        else cited.push(part);
      }
    }
    expect(text).toBe("Primeiro [1], depois [2, 3] e [99].");
    expect(cited.map(({ number }) => number)).toEqual(citations.slice(0, 3).map(({ number }) => number));
    expect(cited.some(({ start = 0 }) => start > 0)).toBe(true);
    for (const { number, trainingId, start, end, startIndex, endIndex } of cited) {
      const tag = String(trainingId);
      expect(prompt).toContain(`[${number}] ${tag}\n${contents[tag]?.slice(start, end) ?? "?"}`);
      expect(text.slice(startIndex, endIndex)).toContain(number.toString());
    }
  });
});
