import { render } from "./main.js";

export { weights } from "./registry.js";
export { render };

/** Fill a place in a page of the book: the explorer that `data-show` names, with weights from the folder `base`. */
export const place = (element, base) => render(element, { show: element.dataset.show, base });
