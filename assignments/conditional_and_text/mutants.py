"""Wrong answers that people give, each with the points that its question must get."""

PARTS = "def two_parts(p, q):\n"
PARTS_RIGHT = PARTS + ("    image = p.sum(0).log() - q.sum(0).log()\n    return image, p.log() - q.log() - image\n")
BEST = '\n\nbest = {"a with label 1": 0.5714, "b with label 1": 0.3333, "a without a label": 0.5}\n'

LABEL = "def label_part(phi, A, a, B, b):\n"
LABEL_RIGHT = LABEL + (
    "    rest = (phi @ B.T + b).logsumexp(1) - (phi @ A.T + a).logsumexp(1)\n    return A - B, a - b, rest\n\n\n"
)
LOGIT = "def projection_logit(base, phi, vectors, conditions):\n"
LOGIT_RIGHT = LOGIT + "    return base + ((conditions @ vectors) * phi).sum(1)\n"

GRADIENT = "def vectors_gradient(phi, conditions, logits, targets):\n"
GRADIENT_RIGHT = GRADIENT + (
    "    slopes = (logits.sigmoid() - targets) / len(logits)\n    return conditions.T @ (slopes[:, None] * phi)\n\n\n"
)
VERDICTS = "def verdicts(labels, num_labels):\n"
VERDICTS_RIGHT = VERDICTS + (
    "    p = torch.bincount(labels, minlength=num_labels) / len(labels)\n    return p / (p + 1 / num_labels)\n\n\n"
)
LABELS = "def labels_for_fakes(labels, n):\n"
LABELS_RIGHT = LABELS + "    return labels[torch.randint(len(labels), (n,))]\n"

SAME = """

same_row = {
    "a red A on a pink background / on a pink background a red A": True,
    "a red A on a red background / a red A on a background": True,
    "a dog under a cat / a cat under a dog": True,
    "a red A / a red a": False,
}
"""
TRIPLE = "def matching_loss(right, wrong, fake):\n"
TRIPLE_RIGHT = TRIPLE + (
    "    sp = nn.functional.softplus\n"
    "    loss = sp(-right).mean() + 0.5 * sp(fake).mean()\n"
    "    return loss + 0.5 * sp(wrong).mean() if len(wrong) else loss\n"
)
NUMBER = (
    "tensor_loss = matching_loss\n\n\n"
    "def matching_loss(right, wrong, fake):\n    return tensor_loss(right, wrong, fake).item()\n"
)
WRONG = "def wrong_captions(captions, always):\n"


def words(
    word: str = 'word.strip(".,")',
    counted: str = "set({found})",
    put: str = "row[number.get(word, 0)] = 1",
    order: str = "sorted(kept)",
    first: str = '"<unknown>", ',
) -> str:
    found = f"[w for w in ({word} for word in caption.split()) if w]"
    return f"""
def build_vocabulary(captions, least=1):
    counts = {{}}
    for caption in captions:
        for word in {counted.format(found=found)}:
            counts[word] = counts.get(word, 0) + 1
    kept = [word for word, count in counts.items() if count >= least]
    return [{first}*{order}]


def word_sets(captions, vocabulary):
    number = {{word: i for i, word in enumerate(vocabulary)}}
    rows = torch.zeros(len(captions), len(vocabulary))
    for row, caption in zip(rows, captions):
        for word in {found}:
            {put}
    return rows
"""


def wrong(said: str = "captions[:, always]", chances: str = "contradicts", valid: str = "contradicts.any(1)") -> str:
    return f"""
def wrong_captions(captions, always):
    said = {said}
    contradicts = (said[:, None] != said[None]).any(2)
    valid = {valid}
    chances = torch.where(contradicts.any(1)[:, None], {chances}, True).float()
    return captions[torch.multinomial(chances, 1)[:, 0]], valid


"""


def step(
    fake: str = "G(z, captions).detach()",
    mismatched: str = "D(images[valid], wrong[valid])",
    shown: str = "captions",
    between: str = "z = torch.randn(len(images), latent_dim)",
    loss_g: str = "nn.functional.softplus(-D(G(z, captions), captions)).mean()",
    last: str = "optimizer_d.zero_grad()",
    clear_g: str = "optimizer_g.zero_grad()",
) -> str:
    return f"""
def train_step(G, D, optimizer_g, optimizer_d, images, captions, always, latent_dim):
    wrong, valid = wrong_captions(captions, always)
    z = torch.randn(len(images), latent_dim)
    fake = {fake}
    loss_d = matching_loss(D(images, captions), {mismatched}, D(fake, {shown}))
    optimizer_d.zero_grad()
    loss_d.backward()
    optimizer_d.step()
    {between}
    loss_g = {loss_g}
    {clear_g}
    loss_g.backward()
    optimizer_g.step()
    {last}
    return {{"loss_d": loss_d.detach(), "loss_g": loss_g.detach()}}
"""


def measure(
    pairs: str = "num_values * ordered + read",
    whole: str = "table.diagonal().sum() / table.sum()",
    each: str = "table.diagonal() / table.sum(1)",
    shares: str = "table.double() / table.sum(1, keepdim=True).clamp(min=1)",
    least: str = "num_values**2",
) -> str:
    return f"""
def confusion(ordered, read, num_values):
    counts = torch.bincount({pairs}, minlength={least})
    return counts.view(num_values, num_values)


def obedience(table):
    table = table.double()
    return {whole}, {each}


def worst_confusion(table):
    shares = {shares}
    place = int(shares.clone().fill_diagonal_(-1).argmax())
    return place // len(table), place % len(table)
"""


MUTANTS = {
    "q1": [
        (
            "label part from p(x | y), not from p(y | x)",
            2,
            PARTS
            + "    image = p.sum(0).log() - q.sum(0).log()\n"
            + "    return image, (p / p.sum(1, keepdim=True)).log() - (q / q.sum(1, keepdim=True)).log()\n"
            + BEST,
        ),
        (
            "the whole logit as label part",
            2,
            PARTS + "    return p.sum(0).log() - q.sum(0).log(), p.log() - q.log()\n" + BEST,
        ),
        (
            "the labels' frequencies as image part",
            1,
            PARTS + "    image = p.sum(1).log() - q.sum(1).log()\n    return image, p.log() - q.log() - image\n" + BEST,
        ),
        (
            "D without the labels' frequencies, p(x | y) / (p(x | y) + p(x))",
            2,
            PARTS_RIGHT + '\n\nbest = {"a with label 1": 0.5714, "b with label 1": 0.3333, "a without a label": 0.6}\n',
        ),
        (
            "logits in place of probabilities",
            2,
            PARTS_RIGHT + '\n\nbest = {"a with label 1": 0.2877, "b with label 1": -0.6931, "a without a label": 0}\n',
        ),
    ],
    "q2": [
        (
            "the normalising sums forgotten",
            3,
            LABEL + "    return A - B, a - b, torch.zeros(len(phi), dtype=phi.dtype)\n\n\n" + LOGIT_RIGHT,
        ),
        (
            "the normalising sums with their signs exchanged",
            3,
            LABEL_RIGHT.replace("return A - B, a - b, rest", "return A - B, a - b, -rest") + LOGIT_RIGHT,
        ),
        (
            "log of a sum of exponentials: infinite for large features",
            4,
            LABEL
            + "    rest = (phi @ B.T + b).exp().sum(1).log() - (phi @ A.T + a).exp().sum(1).log()\n"
            + "    return A - B, a - b, rest\n\n\n"
            + LOGIT_RIGHT,
        ),
        (
            "a mean over the words",
            3,
            LABEL_RIGHT
            + LOGIT
            + "    said = conditions / conditions.sum(1, keepdim=True)\n"
            + "    return base + ((said @ vectors) * phi).sum(1)\n",
        ),
        (
            "only the first word of a caption",
            3,
            LABEL_RIGHT + LOGIT + "    return base + (vectors[conditions.argmax(1)] * phi).sum(1)\n",
        ),
        (
            "psi once per word",
            3,
            LABEL_RIGHT + LOGIT + "    return (conditions * (base[:, None] + phi @ vectors.T)).sum(1)\n",
        ),
        (
            "numbers in place of tensors: nothing could learn",
            4,
            LABEL_RIGHT
            + LOGIT
            + "    sums = (conditions @ vectors * phi).sum(1).tolist()\n"
            + "    return torch.tensor([float(b) + s for b, s in zip(base, sums)], dtype=torch.float64)\n",
        ),
    ],
    "q3": [
        (
            "a sum over the batch",
            3,
            GRADIENT_RIGHT.replace(" / len(logits)", "") + VERDICTS_RIGHT + LABELS_RIGHT,
        ),
        (
            "each word's gradient as a mean over the pairs that say it",
            3,
            GRADIENT
            + "    slopes = logits.sigmoid() - targets\n"
            + "    count = conditions.sum(0).clamp(min=1)[:, None]\n"
            + "    return conditions.T @ (slopes[:, None] * phi) / count\n\n\n"
            + VERDICTS_RIGHT
            + LABELS_RIGHT,
        ),
        (
            "the gradient of one word per caption only",
            4,
            GRADIENT
            + "    slopes = (logits.sigmoid() - targets) / len(logits)\n"
            + "    first = nn.functional.one_hot(conditions.argmax(1), conditions.shape[1]).to(phi)\n"
            + "    return first.T @ (slopes[:, None] * phi)\n\n\n"
            + VERDICTS_RIGHT
            + LABELS_RIGHT,
        ),
        (
            "uniform labels",
            4,
            GRADIENT_RIGHT
            + VERDICTS_RIGHT
            + LABELS
            + "    known = labels.unique()\n    return known[torch.randint(len(known), (n,))]\n",
        ),
        (
            "uniform numbers up to the largest label",
            4,
            GRADIENT_RIGHT + VERDICTS_RIGHT + LABELS + "    return torch.randint(int(labels.max()) + 1, (n,))\n",
        ),
        (
            "the training set read from its beginning",
            4,
            GRADIENT_RIGHT + VERDICTS_RIGHT + LABELS + "    return labels.repeat(n // len(labels) + 1)[:n]\n",
        ),
        (
            "without putting back: equal labels too rare in a small set",
            4,
            GRADIENT_RIGHT
            + VERDICTS_RIGHT
            + LABELS
            + "    rounds = [labels[torch.randperm(len(labels))] for _ in range(n // len(labels) + 1)]\n"
            + "    return torch.cat(rounds)[:n]\n",
        ),
        (
            "no verdict on the last label where it does not occur",
            4,
            GRADIENT_RIGHT + VERDICTS_RIGHT.replace(", minlength=num_labels", "") + LABELS_RIGHT,
        ),
        (
            "real and generated exchanged",
            4,
            GRADIENT_RIGHT + VERDICTS_RIGHT.replace("return p / (p", "return 1 / num_labels / (p") + LABELS_RIGHT,
        ),
        (
            "uniform over the labels that occur",
            4,
            GRADIENT_RIGHT + VERDICTS_RIGHT.replace("1 / num_labels", "1 / int((p > 0).sum())") + LABELS_RIGHT,
        ),
    ],
    "q4": [
        ("everything in lower case: A becomes an article", 1, words(word='word.strip(".,").lower()') + SAME),
        ("commas and full stops stay", 3, words(word="word") + SAME),
        ("occurrences counted, not captions", 4, words(counted="{found}") + SAME),
        ("counts in the rows", 4, words(put="row[number.get(word, 0)] += 1") + SAME),
        ("unknown words left out", 3, words(put="row[number[word]] = 1 if word in number else 0") + SAME),
        ("in the order in which words come, and no unknown", 3, words(order="kept", first="") + SAME),
        (
            "what is left of two spaces or a comma counts as a word",
            4,
            words(word='word.strip(".,")').replace("if w]", "]").replace("caption.split()", 'caption.split(" ")')
            + SAME,
        ),
        ("the order of words is believed to matter", 4, words() + SAME.replace('dog": True', 'dog": False')),
    ],
    "q5": [
        (
            "captions that differ anywhere",
            3,
            wrong(said="captions") + TRIPLE_RIGHT,
        ),
        (
            "the caption of the image before, whatever it says",
            3,
            WRONG + "    return captions.roll(1, 0), torch.ones(len(captions), dtype=torch.bool)\n\n\n" + TRIPLE_RIGHT,
        ),
        (
            "the first caption that contradicts",
            3,
            wrong().replace("torch.multinomial(chances, 1)[:, 0]", "chances.argmax(1)") + TRIPLE_RIGHT,
        ),
        (
            "all pairs called valid",
            3,
            wrong(valid="torch.ones(len(captions), dtype=torch.bool)") + TRIPLE_RIGHT,
        ),
        (
            "valid as numbers, with which images cannot be picked",
            3,
            wrong(valid="contradicts.any(1).float()") + TRIPLE_RIGHT,
        ),
        ("a number in place of a loss", 3, wrong() + TRIPLE_RIGHT + "\n\n" + NUMBER),
        ("the halves forgotten", 2, wrong() + TRIPLE_RIGHT.replace("0.5 * ", "")),
        (
            "one mean over wrong pairs and fakes",
            3,
            wrong()
            + TRIPLE
            + "    sp = nn.functional.softplus\n"
            + "    return sp(-right).mean() + sp(torch.cat([wrong, fake])).mean()\n",
        ),
        (
            "the mean of no wrong pairs is not a number",
            3,
            wrong()
            + TRIPLE
            + "    sp = nn.functional.softplus\n"
            + "    return sp(-right).mean() + 0.5 * sp(wrong).mean() + 0.5 * sp(fake).mean()\n",
        ),
        (
            "logarithms of sigmoids: infinite at large logits",
            3,
            wrong()
            + TRIPLE
            + "    loss = -right.sigmoid().log().mean() - 0.5 * (1 - fake.sigmoid()).log().mean()\n"
            + "    return loss - 0.5 * (1 - wrong.sigmoid()).log().mean() if len(wrong) else loss\n",
        ),
    ],
    "q6": [
        ("wrong pairs whether valid or not", 2, step(mismatched="D(images, wrong)")),
        ("wrong captions with fakes, not with real images", 2, step(mismatched="D(fake[valid], wrong[valid])")),
        ("the fakes are shown with wrong captions", 2, step(shown="wrong")),
        ("the same latent vectors for both updates", 3, step(between="pass")),
        ("gradients of the generator's loss stay in the discriminator", 3, step(last="pass")),
        (
            "generator's gradients are never cleared: those of the discriminator's loss are added",
            2,
            step(fake="G(z, captions)", clear_g="pass"),
        ),
        (
            "the generator is judged by other captions than it was given",
            2,
            step(loss_g="nn.functional.softplus(-D(G(z, captions), captions.roll(1, 0))).mean()"),
        ),
        ("losses with their graphs", 3, step().replace('.detach(), "loss_g": loss_g.detach()', ', "loss_g": loss_g')),
        ("saturating loss", 2, step(loss_g="-nn.functional.softplus(D(G(z, captions), captions)).mean()")),
    ],
    "q7": [
        ("rows are what was read", 2, measure(pairs="num_values * read + ordered")),
        ("counts as floats", 2, measure().replace("return counts.view", "return counts.float().view")),
        ("shares of the columns", 2, measure(each="table.diagonal() / table.sum(0)")),
        ("the mean of the shares as the whole", 3, measure(whole="(table.diagonal() / table.sum(1)).nanmean()")),
        ("the largest count", 3, measure(shares="table.double()")),
        ("0 for what was never ordered", 3, measure(each="table.diagonal() / table.sum(1).clamp(min=1)")),
        (
            "only as many rows as values that occur",
            2,
            measure(least="0").replace(
                "counts.view(num_values, num_values)", "counts.view(int(ordered.max()) + 1, -1)"
            ),
        ),
        (
            "a row without orders counts as a confusion",
            3,
            measure(shares="table.double() / table.sum(1, keepdim=True)"),
        ),
    ],
}
