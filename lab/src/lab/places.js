// Where the lab stands: in a page of the book, and in the output of a notebook's cell.
import { render } from "./main.js";
import { read, write } from "./state.js";

/**
 * Fill a place in a page of the book: the whole lab, whose settings are those of the page's address, if it has
 * `data-page`; else the small one, whose settings stand in `data-state`.
 *
 * @param {Element} element
 * @param {string} lab address of the lab's own page
 */
export function place(element, lab) {
  if ("page" in element.dataset) return render(element);
  const { a, b } = read(element.dataset.state);
  return render(element, { settings: a, compare: b, compact: true, link: lab });
}

/** What anywidget calls for each output with the widget; its model's `state` is what stands after an address's #. */
export function widget({ model, el }) {
  const { a, b } = read(model.get("state"));
  const lab = render(el, {
    settings: a, compare: b, compact: true,
    onchange(a, b) {
      model.set("state", write(a, b).slice(1));
      model.save_changes();
    },
  });
  const follow = () => {
    const { a, b } = read(model.get("state"));
    const now = lab.state().runs.map(({ settings }) => settings);
    if (write(a, b) !== write(...now)) lab.set(a, b); // not where the lab itself has told the model
  };
  model.on("change:state", follow);
  return () => {
    model.off("change:state", follow);
    lab.destroy();
  };
}
