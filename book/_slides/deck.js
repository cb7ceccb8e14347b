// Start the deck. What is too high or too wide, in the fonts of this machine, gets a smaller font.
const SMALLEST = 50; // per cent

function fit(slide) {
  if (!slide || slide.dataset.fitted) return;
  const full = parseFloat(getComputedStyle(slide).fontSize);
  let size = 100;
  const floor = slide.clientHeight - parseFloat(getComputedStyle(slide).paddingBottom) + 1;
  const parts = [...slide.children].filter(part => !part.matches("aside"));
  const tooLarge = () => slide.scrollWidth > slide.clientWidth + 1 ||
    parts.some(part => part.offsetTop + part.offsetHeight > floor) ||
    [...slide.querySelectorAll("pre, table, .katex-display")].some(box =>
      box.scrollWidth > box.clientWidth + 1 || box.getBoundingClientRect().right > slide.getBoundingClientRect().right);
  while (tooLarge() && size > SMALLEST) slide.style.fontSize = `${full * (size -= 2) / 100}px`;
  slide.dataset.fitted = size;
}

// "12 / 45" beside each other, "12.2 / 45" for the second one below.
function number(slide) {
  const { h, v } = Reveal.getIndices(slide);
  return [`${h + 1}${v ? `.${v}` : ""}`, "/", Reveal.getHorizontalSlides().length];
}

Reveal.on("ready", event => fit(event.currentSlide));
Reveal.on("slidechanged", event => fit(event.currentSlide));
Reveal.on("pdf-ready", () => document.querySelectorAll(".slides section:not(.stack)").forEach(fit));
Reveal.initialize({
  width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4,
  center: false, display: "flex", hash: true, slideNumber: number, transition: "none", backgroundTransition: "none",
  pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, plugins: [RevealNotes],
});
