// In the frame of an output: unpacks the viewer and runs it, as soon as the blocks that other outputs carry have come.
const { needs, module, missing } = document.querySelector<HTMLElement>("main")!.dataset as Record<"needs" | "module" | "missing", string>;
const left = new Set(needs.split(" ").filter(Boolean));
const home = document.querySelector<HTMLElement>("[data-modscope]")!;
// Long enough for a notebook whose outputs are drawn one after the other.
const PATIENCE = 5000;

async function start(): Promise<void> {
  const bytes = Uint8Array.from(atob(document.getElementById(module)!.textContent!), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.type = "module";
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

function wait(): void {
  const words = document.createElement("p");
  words.textContent = missing;
  words.setAttribute("role", "status");
  words.style.cssText = "font:14px sans-serif;margin:8px";
  const ask = (still: boolean) => parent.postMessage({ modscope: "want", ids: [...left], still }, "*");
  const again = setInterval(() => ask(false), 500);
  const late = setTimeout(() => {
    home.replaceChildren(words);
    ask(true);
  }, PATIENCE);
  addEventListener("message", ({ data, source }) => {
    if (source !== parent || !left.size) return;
    if (data?.modscope === "still") {
      const still = document.createElement("template");
      still.innerHTML = data.html;
      const picture = still.content.querySelector("img");
      if (picture) home.replaceChildren(words, picture);
    }
    if (data?.modscope !== "block" || !left.delete(data.id)) return;
    const block = document.createElement("script");
    block.type = "application/octet-stream";
    block.id = data.id;
    block.textContent = data.text;
    document.body.append(block);
    if (left.size) return;
    clearTimeout(late);
    clearInterval(again);
    home.replaceChildren();
    void start();
  });
  ask(false);
}

if (left.size) wait();
else void start();

export {};
