// Runs after require.js and before embed-amd.js on pages that hold widgets: everything the widgets load comes
// from this folder, so that they work from file:// and with no network.
(function () {
  "use strict";
  const own = document.currentScript;
  const folder = own.src.slice(0, own.src.lastIndexOf("/") + 1);

  // embed-amd.js reads the attribute from any script element; without it, unknown modules come from a CDN.
  own.setAttribute("data-jupyter-widgets-cdn", folder);
  // The "@jupyter-widgets" modules are all in embed-amd.js: their paths only say where it finds its fonts.
  const here = folder.slice(0, -1);
  window.requirejs.config({
    paths: {
      anywidget: folder + "anywidget",
      "@jupyter-widgets": here,
      "@jupyter-widgets/html-manager/dist": here,
    },
  });

  // The theme's Font Awesome replaces every <i> by an <svg>, the icons of Play buttons included, which the
  // widgets then no longer find. Nested, the <i> stays.
  window.FontAwesomeConfig = Object.assign({}, window.FontAwesomeConfig, { autoReplaceSvg: "nest" });
  if (window.FontAwesome && window.FontAwesome.config) {
    window.FontAwesome.config.autoReplaceSvg = "nest";
  }

  // The widgets call MathJax 2; the book has MathJax 3, a deferred script, which is there when this event comes.
  document.addEventListener("DOMContentLoaded", function () {
    const mathjax = window.MathJax;
    if (mathjax && mathjax.typesetPromise && !mathjax.Hub) {
      mathjax.Hub = {
        Queue: function (call) {
          mathjax.startup.promise.then(function () {
            return mathjax.typesetPromise([call[2]]); // call: ["Typeset", MathJax.Hub, element]
          });
        },
      };
    }
  });

  // Names for screen readers, which the widgets leave out.
  // (An Image widget cannot have one; an HTML widget with <img alt> can.)
  const buttons = ["Play or pause", "Stop", "Repeat"];
  new MutationObserver(function () {
    document.querySelectorAll(".widget-play").forEach(function (play) {
      play.querySelectorAll("button:not([aria-label])").forEach(function (button) {
        const place = Array.prototype.indexOf.call(play.querySelectorAll("button"), button);
        button.setAttribute("aria-label", buttons[place] || "Button");
      });
    });
    document.querySelectorAll(".noUi-handle:not([aria-label])").forEach(function (handle) {
      const label = handle.closest(".jupyter-widgets").querySelector(".widget-label");
      handle.setAttribute("aria-label", (label && label.textContent.trim()) || "Position");
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
