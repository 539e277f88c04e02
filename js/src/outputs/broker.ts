// In a notebook's page, once for all outputs: frames tell how high they are and ask for blocks that another output
// carries. Blocks are read out of the text of the frames that carry them and kept while the page is open, so that a cell
// that is scrolled away is no loss. The script stands in every output; each run says that an output came.
interface Said {
  modscope?: string;
  height?: number;
  ids?: string[];
  still?: boolean;
}

type Host = Window & { modscopeOutputs?: () => void };

const framesIn = (place: ParentNode, which = ""): HTMLIFrameElement[] => [...place.querySelectorAll<HTMLIFrameElement>(`.modscope-view iframe${which}`)];
const idsOf = (frame: HTMLIFrameElement, name: "carries" | "needs"): string[] => (frame.dataset[name] ?? "").split(" ").filter(Boolean);

function broker(): () => void {
  const blocks = new Map<string, string>();

  const read = (frame: HTMLIFrameElement) => {
    const missing = idsOf(frame, "carries").filter((id) => !blocks.has(id));
    const text = missing.length ? frame.srcdoc : "";
    for (const id of missing) {
      const start = `id="${id}">`;
      const from = text.indexOf(start);
      if (from >= 0) blocks.set(id, text.slice(from + start.length, text.indexOf("</script", from)));
    }
  };

  /** Says under a view that was drawn where the numbers have gone since. */
  const warn = (frame: HTMLIFrameElement) => {
    const note = frame.parentElement!.querySelector<HTMLElement>(".modscope-lost");
    if (!note) return;
    const carried = new Set(framesIn(frame.closest(".jp-Notebook") ?? document, "[data-carries]").flatMap((other) => idsOf(other, "carries")));
    note.hidden = idsOf(frame, "needs").every((id) => carried.has(id) || !blocks.has(id));
  };

  const look = () => {
    framesIn(document, "[data-carries]").forEach(read);
    framesIn(document, "[data-needs]").forEach(warn);
  };

  addEventListener("message", ({ data, source }) => {
    const said = (data ?? {}) as Said;
    const frame = said.modscope && framesIn(document).find((one) => one.contentWindow === source);
    if (!frame) return;
    const answer = (what: object) => frame.contentWindow!.postMessage(what, "*");
    if (said.modscope === "height") frame.style.height = `${Math.min(6000, Math.max(200, said.height!))}px`;
    if (said.modscope !== "want") return;
    look();
    for (const id of said.ids!) if (blocks.has(id)) answer({ modscope: "block", id, text: blocks.get(id) });
    if (said.still) answer({ modscope: "still", html: frame.textContent });
  });
  setInterval(look, 3000);
  return look;
}

((window as Host).modscopeOutputs ??= broker())();
