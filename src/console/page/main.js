import { announce, find } from "./elements.js";
import { chooseLanguage, chosenLanguage, inLanguage, showTexts } from "./language.js";
import { readOverview } from "./overview.js";
import { readTrainings } from "./trainings.js";

const VIEWS = ["search", "trainings", "status"];

function showView(chosen) {
  for (const view of VIEWS) {
    find(`${view}-view`).hidden = view !== chosen;
    if (view === chosen) find(`show-${view}`).setAttribute("aria-current", "page");
    else find(`show-${view}`).removeAttribute("aria-current");
  }
}

for (const view of VIEWS) {
  find(`show-${view}`).addEventListener("click", () => {
    announce();
    showView(view);
    if (view === "trainings") void readTrainings();
    if (view === "status") void readOverview();
  });
}
document.addEventListener("changed", () => void readOverview());
find("language").value = chosenLanguage();
find("language").addEventListener("change", ({ target }) => chooseLanguage(target.value));
inLanguage(showTexts);
showView("search");
void readOverview();
