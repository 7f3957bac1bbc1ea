/**
 * An answer that streams, with its citations as data: for each number the training, and where in its text the passage is.
 *
 * The model is scripted, so that the example runs without one; replace it by `new ChatOllama(...)`.
 */
import { createAgent } from "langchain";
import { passagesMiddleware } from "./support/answering.js";
import { citedParts, firstCitations } from "./support/cited-parts.js";
import { citing, openShop, StreamingModel } from "./support/shop.js";
import { trainings } from "./support/trainings.js";

const { index, close } = await openShop();
const model = new StreamingModel(citing("cinco por cento", "No Pix há cinco por cento de desconto"));
const passages = passagesMiddleware(index, { search: { k: 3, mode: "hybrid" } });
const agent = createAgent({ model, middleware: [passages] });

const messages = [{ role: "user", content: "Tem desconto no Pix?" }];
const run = await agent.streamEvents({ messages }, { version: "v3" });
const citations = await firstCitations(run.values); // the search comes before the model
for await (const message of run.messages) {
  for await (const part of citedParts(message.text, citations)) {
    if (part.type === "text") {
      process.stdout.write(part.text); // or an event to your client
    } else {
      const { number, trainingId, start, end } = part;
      // The text is yours: start and end are places in it.
      const { content = "" } = trainings.find(({ id }) => id === trainingId) ?? {};
      console.log(`\n${JSON.stringify({ number, trainingId, start, end })}\n${content.slice(start, end)}`);
    }
  }
}
await close();
