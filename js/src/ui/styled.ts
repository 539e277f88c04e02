// The style of the viewer in a shadow root.
import { h } from "./dom";
import style from "./style.css";

/** A sheet of its own where there is one: a policy that forbids styles in the page lets it through. */
export function styled(root: ShadowRoot): void {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.prepend(h("style", {}, style));
  }
}
