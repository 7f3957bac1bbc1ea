// The texts of the page. Each % is replaced by a value.
export const texts = {
  pt: {
    title: "Treinamentos",
    language: "Idioma",
    search: "Buscar",
    question: "Pergunta",
    mode: "Modo",
    hybrid: "híbrido",
    vector: "por significado",
    text: "por palavras",
    strategy: "Resultado",
    chunks: "trechos",
    trainings: "treinamentos",
    find: "Buscar",
    found: "Resultados: %",
    add: "Novo treinamento",
    training: "Treinamento",
    content: "conteúdo",
    finalised: "finalizado",
    save: "Salvar",
    cancel: "Cancelar",
    edit: "Editar",
    finalise: "Finalizar",
    unfinalise: "Reabrir",
    delete: "Excluir",
    draft: "rascunho",
    saved: "%: %; trechos %, vetorizados %, reaproveitados %, removidos %",
  },
  en: {
    title: "Trainings",
    language: "Language",
    search: "Search",
    question: "Question",
    mode: "Mode",
    hybrid: "hybrid",
    vector: "by meaning",
    text: "by words",
    strategy: "Result",
    chunks: "passages",
    trainings: "trainings",
    find: "Search",
    found: "Results: %",
    add: "New training",
    training: "Training",
    content: "content",
    finalised: "finalised",
    save: "Save",
    cancel: "Cancel",
    edit: "Edit",
    finalise: "Finalise",
    unfinalise: "Reopen",
    delete: "Delete",
    draft: "draft",
    saved: "%: %; chunks %, embedded %, reused %, removed %",
  },
};

export function isLanguage(value) {
  return Object.hasOwn(texts, value);
}

export function preferredLanguage(wanted) {
  return wanted.startsWith("en") ? "en" : "pt";
}
