"""Right and typical wrong answers to the exercises with an automatic check; see tests/test_exercises.py."""


def fields(**changed: str) -> str:
    values = {"a": "11", "b": "22", "c": "8", "d": "5", "e": "1", "f": "8", **changed}
    return "fields = {" + ", ".join(f'"{letter}": {value}' for letter, value in values.items()) + "}\n"


def function(head: str, *lines: str) -> str:
    return f"def {head}:\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def pooled(*lines: str) -> str:
    return function("pooled_attention(q, k, v)", *lines)


def taken(*lines: str) -> str:
    return function("taken(q, k, v)", *lines)


def cut(*lines: str) -> str:
    return function("cut_normal(n, threshold, generator)", *lines)


def sharing(
    a: str = "2 * K * C * M",
    b: str = "K * E + 2 * E * C * M",
    c: str = "int(2 * E * C * M // (2 * C * M - E)) + 1",
) -> str:
    return "\n".join(
        function(head, f"return {result}")
        for head, result in (("tables(M, C, K)", a), ("shared(M, C, K, E)", b), ("least_classes(M, C, E)", c))
    )


def truncate(*lines: str) -> str:
    return function("truncate(z, t)", *lines)


POOL = "k, v = (nn.functional.max_pool2d(m, 2) for m in (k, v))"
WEIGHTED = "return torch.einsum('bij,bdj->bdi', {}, v.flatten(2)).unflatten(2, q.shape[2:])"
SCORES = "scores = torch.einsum('bci,bcj->bij', q.flatten(2), k.flatten(2))"
HIGH = "high = torch.special.ndtr(torch.tensor(threshold, dtype=torch.float64))"
UNIFORM = "u = torch.rand(n, generator=generator, dtype=torch.float64)"
LOOP = "while (z.abs() > t).any():"
FAR = "while (far := z.abs() > t).any():"
NEW = "    z = torch.where(z.abs() > t, torch.randn_like(z), z)"

ANSWERS = {
    "Exercise 2": {
        "right": [fields(), fields(b="4 + 3 * 2 + 3 * 4", c="8.0")],
        "wrong": [fields(a="15"), fields(b="10"), fields(b="12"), fields(c="7"), fields(d="3"), fields(f="3")],
    },
    "Exercise 3": {
        "right": [
            pooled(POOL, SCORES, WEIGHTED.format("scores.softmax(-1)")),
            pooled(
                POOL,
                "taken = scaled_dot_product_attention(*(m.flatten(2).mT for m in (q, k, v)), scale=1.0)",
                "return taken.mT.reshape(len(q), -1, *q.shape[2:])",
            ),
        ],
        "wrong": [
            pooled(SCORES, WEIGHTED.format("scores.softmax(-1)")),  # nothing is pooled
            pooled(POOL, SCORES, WEIGHTED.format("scores.softmax(1)")),
            pooled(POOL.replace("max", "avg"), SCORES, WEIGHTED.format("scores.softmax(-1)")),
            pooled(POOL, SCORES, WEIGHTED.format("(scores / q.shape[1] ** 0.5).softmax(-1)")),
            pooled(POOL, "return v"),
        ],
    },
    "Exercise 4": {
        "right": [
            taken("return v @ (q.mT @ k).softmax(-1).mT"),
            taken("shares = (k.transpose(1, 2) @ q).softmax(1)", "return v @ shares"),
        ],
        "wrong": [
            taken("shares = (q.transpose(1, 2) @ k).softmax(1)", "return v @ shares"),  # as it is
            taken("return v @ (q.mT @ k).softmax(1).mT"),
            taken("return v @ (q.mT @ k).softmax(2)"),
            taken("return v @ (k.mT @ q).softmax(2).mT"),
            taken("return (q.mT @ k).softmax(2) @ v.mT"),
            taken("return v.mean(2, keepdim=True).expand_as(v)"),
        ],
    },
    "Exercise 6": {
        "right": [
            cut(HIGH, UNIFORM, "return torch.special.ndtri((1 - high) + (2 * high - 1) * u)"),
            cut(HIGH, UNIFORM, "return 2**0.5 * torch.erfinv((2 * u - 1) * (2 * high - 1))"),
            cut(
                "z = torch.randn(n, generator=generator)",
                "while (far := z.abs() > threshold).any():",
                "    z[far] = torch.randn(int(far.sum()), generator=generator)",
                "return z",
            ),
        ],
        "wrong": [
            cut("return torch.randn(n, generator=generator).clamp(-threshold, threshold)"),
            cut("return (2 * torch.rand(n, generator=generator) - 1) * threshold"),
            cut("return torch.randn(n, generator=generator)"),
            cut(HIGH, UNIFORM, "return torch.special.ndtri(0.5 + (high - 0.5) * u)"),  # one half only
            cut(HIGH, "u = torch.rand(n).double()", "return 2**0.5 * torch.erfinv((2 * u - 1) * (2 * high - 1))"),
        ],
    },
    "Exercise 7": {
        "right": [
            sharing(),
            sharing("K * M * C + K * M * C", "E * (K + 2 * C * M)", "math.floor(E / (1 - E / (2 * C * M))) + 1"),
            sharing(c="next(K for K in range(1, 10**6) if shared(M, C, K, E) < tables(M, C, K))"),
        ],
        "wrong": [
            sharing(a="K * C * M"),
            sharing(b="K * E + E * C * M"),
            sharing(b="K * E * M + 2 * E * C * M"),
            sharing(c="E"),
            sharing(c="2 * E * C * M / (2 * C * M - E)"),
        ],
    },
    "Exercise 8": {
        "right": [
            truncate(LOOP, NEW, "return z"),
            truncate("z = z.clone()", FAR, "    z[far] = torch.randn(far.sum())", "return z"),
        ],
        "wrong": [
            truncate("return z.clamp(-t, t)"),
            truncate("return z * t / z.abs().max()"),
            truncate("return torch.where(z.abs() > t, torch.randn_like(z), z)"),  # once only
            truncate("while (far := z.abs() > t).any():", "    z[far] = torch.randn(int(far.sum()))", "return z"),
            truncate("return torch.where(z.abs() > t, (2 * torch.rand_like(z) - 1) * t, z)"),
            truncate("return torch.where(z.abs() > t, torch.zeros_like(z), z)"),
        ],
    },
}  # fmt: skip
