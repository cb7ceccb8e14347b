// Makes a page of the book ready for paper; tools/pdf.py runs it in the page, in print's layout and width.
// Returns the page's headings, and what else the tool has to know.
async ({ part }) => {
  const article = document.querySelector("article");
  const all = (selector, within = article) => [...within.querySelectorAll(selector)];
  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const opened = details => {  // what a fold holds, without its handle
    const box = element("div", { className: "print-opened" });
    box.append(...[...details.childNodes].filter(child => child.nodeName !== "SUMMARY"));
    return box;
  };

  // Folded code only draws, prints a table or checks an answer: on paper it would hide the text. Solutions stay.
  const solutions = new Set();
  for (const cell of all(".cell")) {
    const fold = cell.querySelector(":scope > details.above-input");
    if (!fold) continue;
    const title = fold.querySelector(".admonition-title").textContent.replace(/^Code: /, "");
    if (title.startsWith("Solution")) {
      const code = fold.querySelector("pre");
      code.innerHTML = code.innerHTML.replace(/^(<span><\/span>)?<span class="c1"># @title [^<]*<\/span>\n/, "$1");
      fold.replaceWith(...opened(fold).childNodes);
      solutions.add(cell);
    } else if (title.startsWith("Check")) {
      cell.remove();
    } else {
      fold.remove();
      if (!cell.textContent.trim() && !cell.querySelector("img, svg")) cell.remove();
    }
  }

  // Hints and solutions go to the end of the chapter, under the headings of their exercises.
  const kinds = [
    { name: "Hints", word: "hint", of: text => /^Hint/.test(text), found: new Map() },
    { name: "Solutions", word: "solution", of: text => /^(Solution|Answer)/.test(text), found: new Map() },
  ];
  for (const block of all("details:not([class]), .cell")) {
    const text = solutions.has(block) ? "Solution" : block.querySelector(":scope > summary")?.textContent.trim();
    const kind = text && kinds.find(kind => kind.of(text));
    if (!kind || block.parentElement.closest("details:not([class])")) continue;
    const owner = block.closest("section[id]");
    if (!kind.found.has(owner)) kind.found.set(owner, []);
    kind.found.get(owner).push(block);
  }
  const owners = new Set(kinds.flatMap(kind => [...kind.found.keys()]));
  for (const owner of owners) {
    const where = element("p", { className: "print-where" });
    for (const { word } of kinds.filter(kind => kind.found.has(owner))) {
      const place = `${word}-${owner.id}`, page = element("span", { className: "print-page" });
      page.dataset.place = place;  // the tool writes the page's number there
      const link = element("a", { href: `#${place}` }, `${word} on page `, page);
      where.append(...(where.childNodes.length ? [", "] : []), link);
    }
    const first = all("details:not([class]), .cell", owner).find(e => kinds.some(k => k.found.get(owner)?.includes(e)));
    first.before(where);
  }
  for (const { name, word, found } of kinds) {
    if (!found.size) continue;
    const section = element("section", { id: `print-${word}s`, className: "print-end" }, element("h2", { textContent: name }));
    for (const [owner, blocks] of found) {
      const heading = owner.querySelector(":scope > :is(h1, h2, h3, h4)").cloneNode(true);
      heading.querySelector(".headerlink")?.remove();
      const link = element("a", { href: `#${owner.id}` }, ...heading.childNodes);
      section.append(element("div", { className: "print-answer", id: `${word}-${owner.id}` },
        element("p", { className: "print-answer-title" }, link),
        ...blocks.map(block => block.nodeName === "DETAILS" ? opened(block) : block)));
      blocks.filter(block => block.nodeName === "DETAILS").forEach(block => block.remove());
    }
    (article.querySelector(":scope > section") || article).append(section);
  }

  // Other folds open where they stand, with their handle as a title.
  for (const details of all("details")) {
    const summary = details.querySelector(":scope > summary");
    const title = element("p", { className: "print-fold-title", textContent: summary.innerText.split("\n")[0] });
    details.replaceWith(element("div", { className: "print-fold" }, title, opened(details)));
  }

  // A moving figure is its last picture, and says so.
  for (const widget of all(".gan-widget:has(input)")) {
    const pictures = +widget.querySelector("input").max + 1;
    const label = widget.querySelector("p");
    label.textContent = `${label.textContent} (the last of ${pictures} pictures; they move on the page)`;
  }

  // What a reader would play with is not on paper: the words for a page without scripts would puzzle there.
  for (const place of all(".gan-generators-place")) {
    const text = "Here the page has something to try, in a browser: nothing to install, and it works without a network.";
    // The place itself goes: its script may be on the way, and would fill it.
    place.replaceWith(element("p", { className: "print-live", textContent: text }));
  }

  // The way to Colab is of no use on paper, nor is the picture that moves.
  all("p").filter(p => /^Open in Colab$/.test(p.textContent.trim())).forEach(p => p.remove());
  all("picture source[media*='reduced-motion']").forEach(source => { source.media = "all"; });

  await Promise.all(all("img").map(image => {
    image.loading = "eager";
    return image.decode().catch(() => {});
  }));
  await document.fonts.ready;

  // A table that is wider than the paper becomes smaller, as far as it can still be read, with names that may break.
  const size = (table, scale) => { table.style.fontSize = `${scale * parseFloat(getComputedStyle(table).fontSize)}px`; };
  const room = article.clientWidth;
  for (const table of all("table")) {
    if (table.rows.length > 14) table.classList.add("print-long");
    if (table.scrollWidth <= room + 1) continue;
    table.classList.add("print-narrow");
    all("th, td code", table).forEach(cell => {
      const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), texts = [];
      while (walker.nextNode()) texts.push(walker.currentNode);
      for (const text of texts) text.textContent = text.textContent.replace(/([_/])(?=\w)/g, "$1\u200b");
    });
    const scale = room / table.scrollWidth;
    if (scale < 0.999) size(table, Math.max(0.75, scale));
    if (table.scrollWidth > room + 1) table.classList.add("print-wrapped");
  }
  for (const box of all(".cell_input, .highlight")) {
    if (box.textContent.split("\n").length <= 26) box.classList.add("print-whole");
  }

  // Where the reader is: above the title, and in the contents.
  const title = article.querySelector("h1");
  title.querySelector(".headerlink")?.remove();
  const words = title.textContent.trim();
  if (part) title.before(element("p", { className: "print-part", textContent: part }));

  // A browser marks in the PDF those places only that some link of the page leads to.
  const headings = all("h1, h2, h3").filter(heading => heading.closest("section[id]")).map(heading => {
    const plain = heading.cloneNode(true);
    plain.querySelector(".headerlink")?.remove();
    plain.querySelector(".section-number")?.remove();
    plain.querySelectorAll(".katex-html, annotation").forEach(part => part.remove());
    return { level: +heading.nodeName[1], title: plain.textContent.replace(/\s+/g, " ").trim(),
      place: heading.closest("section[id]").id };
  });
  const marks = element("div", { className: "print-marks" });
  for (const { id } of all("[id]").filter(e => e.checkVisibility())) {
    marks.append(element("a", { href: `#${encodeURIComponent(id)}`, textContent: "\u00a0" }));
  }
  article.append(marks);
  const edge = article.getBoundingClientRect().right + 1;
  const wide = all("*").filter(e => !e.closest(".print-marks, .katex-mathml, svg") && e.checkVisibility()
    && e.getBoundingClientRect().right > edge).map(e => e.outerHTML.slice(0, 100));
  const broken = all("img").filter(image => !image.naturalWidth).map(image => image.src);
  return { title: words, headings, wide, broken, chinese: /\p{Script=Han}/u.test(article.textContent) };
}
