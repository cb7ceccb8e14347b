export { render } from "./main.js";
export { place, widget } from "./places.js";
