// What the book's pages do beyond their theme. Runs when a page has been read; without it, all text is there as well.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Sections far below wait with their layout until the page has been shown, or the reader wants to go there.
  const root = document.documentElement;
  const arrived = new Promise(resolve => {
    const arrive = () => { root.classList.remove("arriving"); resolve(); };
    root.classList.contains("arriving") ? addEventListener("load", () => requestAnimationFrame(arrive)) : arrive();
    addEventListener("hashchange", arrive);
  });

  // The drawers of a phone close when their entry has been chosen.
  addEventListener("click", event => {
    if (event.target.closest?.("dialog a[href]")) event.target.closest("dialog").close();
  });

  // The contents mark the section being read: the last one whose heading is above the upper third of the window.
  const entries = all(".bd-toc-nav a[href^='#'], .page-toc a[href^='#']");
  const headings = [...new Set(entries.map(entry => document.getElementById(entry.hash.slice(1))))].filter(Boolean);
  const mark = () => {
    const current = headings.findLast(heading => heading.getBoundingClientRect().top < innerHeight / 3) || headings[0];
    for (const entry of entries) {
      const here = entry.hash.slice(1) === current.id;
      entry.classList.toggle("active", here);
      here ? entry.setAttribute("aria-current", "location") : entry.removeAttribute("aria-current");
    }
    for (const item of all(".page-toc li")) {  // the theme shows the sections inside the current one
      item.classList.toggle("active", Boolean(item.querySelector("a.active")));
    }
  };
  if (headings.length) {
    let waiting = false;
    addEventListener("scroll", () => {
      if (!waiting) requestAnimationFrame(() => { waiting = false; mark(); });
      waiting = true;
    }, { passive: true });
    arrived.then(mark);
  }

  // Boxes that scroll sideways show by a shadow where they go on, and can be reached by keyboard when they do.
  const shade = boxes => {
    const measured = boxes.map(box => [box, box.scrollLeft, box.scrollWidth - box.clientWidth]);  // before any change
    for (const [box, left, hidden] of measured) {
      box.classList.toggle("more-left", hidden > 1 && left > 1);
      box.classList.toggle("more-right", hidden > 1 && left < hidden - 1);
      hidden > 1 ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex");
    }
  };
  const resized = new ResizeObserver(records => shade(records.map(record => record.target)));
  for (const box of all(".bd-article :is(pre, div.math, .gan-table, .gan-wide, .pst-scrollable-table-container)")) {
    resized.observe(box);
    box.addEventListener("scroll", () => shade([box]), { passive: true });
  }

  // The pictures of a moving figure are files; they are fetched when it comes near, so that it plays at once.
  const near = new IntersectionObserver(records => {
    for (const { target, isIntersecting } of records) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      const files = target.querySelector("script")?.textContent.match(/[\w./-]*_images\/\w+\.\w+/g) || [];
      files.forEach(file => { new Image().src = file; });
    }
  }, { rootMargin: "200px" });
  all(".gan-widget").forEach(widget => near.observe(widget));

  // Parts that live, the GAN lab and the trained generators: a script comes when the first of its places is near.
  const folder = new URL("live/", document.currentScript.src).href;
  const scripts = {};
  const script = file => scripts[file] ||= new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement("script"), {
      src: folder + file, onload: resolve, onerror: () => { delete scripts[file]; reject(new Error(file)); },
    }));
  });
  const lives = {
    "gan-lab-place": ["lab.js", place => window.GanLab.place(place, new URL("../../book/lab.html", folder).href)],
    "gan-generators-place": ["generators.js", place => window.GanGenerators.place(place, folder + "weights/")],
  };
  for (const [kind, [file, begin]] of Object.entries(lives)) {
    const coming = new IntersectionObserver(records => {
      for (const { target, isIntersecting } of records) {
        if (!isIntersecting) continue;
        coming.unobserve(target);
        script(file).then(() => begin(target));
      }
    }, { rootMargin: "400px" });
    all("." + kind).forEach(place => coming.observe(place));
  }

  // Letters of formulas arrive after the text and may change the breaks of lines: stay with the heading asked for,
  // unless the reader has gone elsewhere by then.
  const decoded = text => {
    try { return decodeURIComponent(text); } catch { return text; }  // an address cut off in the middle of a letter
  };
  const asked = location.hash && document.getElementById(decoded(location.hash.slice(1)));
  if (asked) {
    let gone = false;
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      addEventListener(kind, () => { gone = true; }, { once: true, passive: true });
    }
    const stay = () => gone || asked.scrollIntoView();
    stay();
    document.fonts.ready.then(stay);
    addEventListener("load", stay);
  }

  // Excerpts of what the search finds, and links to the section where it stands. The texts are scripts, since a page
  // that was opened from a file may fetch nothing; each comes when a result of its page does.
  const results = document.getElementById("search-results");
  if (results) {
    const asked = (new URLSearchParams(location.search).get("q") || "").toLowerCase();
    const words = asked.match(/[\p{L}\p{N}]+/gu) || [];
    const scripts = {};
    const arrived = page => scripts[page] ??= new Promise(done => {
      const script = document.createElement("script");
      Object.assign(script, { src: `_static/search_texts/${page}.js`, onload: done, onerror: done });
      document.head.append(script);
    });
    const excerpt = async item => {
      const link = item.querySelector("a");
      const [address, anchor] = link.getAttribute("href").split("#");
      const page = address.replace(/\.html.*/, "");
      await arrived(page);
      const sections = window.SEARCH_TEXTS?.[page];
      if (!sections?.length) return;
      const worth = text => (text.includes(asked) ? 10 : 0) + words.filter(word => text.includes(word)).length;
      const own = sections.filter(([id]) => id === anchor);  // none if the page as a whole or a term was found
      const [place, text] = (own.length ? own : sections)  // the first, if only code or the title has the words
        .reduce((best, next) => worth(next[1].toLowerCase()) > worth(best[1].toLowerCase()) ? next : best);
      const found = [asked, ...words].map(word => text.toLowerCase().indexOf(word)).find(index => index >= 0) ?? 0;
      const start = found < 100 ? 0 : text.indexOf(" ", found - 100) + 1;
      const cut = text.slice(start, start + 260).replace(/\s+\S*$/, "");
      if (!anchor) link.hash = place;
      item.append(Object.assign(document.createElement("p"), {
        className: "context", textContent: `${start ? "… " : ""}${cut} …`,
      }));
    };
    const near = new IntersectionObserver(entries => {
      for (const { target } of entries.filter(entry => entry.isIntersecting)) {
        near.unobserve(target);
        excerpt(target);
      }
    }, { rootMargin: "400px" });
    const watch = () => {
      for (const item of all("li:has(> a):not(.met)", results)) {
        item.classList.add("met");
        near.observe(item);
      }
    };
    new MutationObserver(watch).observe(results, { childList: true, subtree: true });
    watch();
  }
})();
