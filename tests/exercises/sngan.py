"""Right and typical wrong answers to the exercises with an automatic check; see tests/test_exercises.py."""


def constants(**changed: str) -> str:
    values = {"a": "1", "b": "1 / 2", "c": "6", "d": "6", "e": "2 ** 0.5", "f": "2", "g": "0", **changed}
    return "constants = {" + ", ".join(f'"{letter}": {value}' for letter, value in values.items()) + "}\n"


def largest(*lines: str) -> str:
    return "@torch.no_grad()\ndef largest(W, rounds):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def loop(*lines: str, start: str = "torch.randn(len(W), dtype=W.dtype)", result: str = "(u @ W @ v).item()") -> str:
    return largest(f"u = {start}", "for _ in range(rounds):", *(f"    {line}" for line in lines), f"return {result}")


def matrix(*lines: str) -> str:
    return "def matrix_of(module):\n    W = module.weight\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def hinge(d: str, g: str) -> str:
    return f"def hinge_d(real_logits, fake_logits):\n    return {d}\n\n\ndef hinge_g(fake_logits):\n    return {g}\n"


def place(*lines: str) -> str:
    return "def place(generator, discriminator):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def everywhere(
    network: str = "discriminator", which: str = "(nn.Conv2d, nn.Linear)", modules: str = "modules()",
    norm: str = "layers.spectral_norm(m)",
) -> str:  # fmt: skip
    return place(
        f"for m in list({network}.{modules}):",
        f"    if isinstance(m, {which}):",
        f"        {norm}",
        "return generator, discriminator",
    )


def operator(result: str, first: str = "k = weight.shape[-1]") -> str:
    return f"def operator_norm(weight, n, stride, padding):\n    {first}\n    return {result}\n"


V, U = "v = normalize(W.T @ u, dim=0)", "u = normalize(W @ v, dim=0)"
IS_TRANSPOSED = "if isinstance(module, nn.ConvTranspose2d):"
D, G = "relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()", "-fake_logits.mean()"
MAP = "lambda x: conv2d(x, weight, stride=stride, padding=padding)"
OPERATOR = f"as_matrix({MAP}, (weight.shape[1], n, n))"

ANSWERS = {
    "Exercise 1": {
        "right": [constants(), constants(b="0.5", e="1.414", c="36 ** 0.5"), constants(e="torch.tensor(2.0).sqrt()")],
        "wrong": [
            constants(a="0.2"),
            constants(b="1"),
            constants(b="1 / 4"),
            constants(c="36"),
            constants(d="1.5"),
            constants(d="12"),
            constants(e="2"),
            constants(f="4"),
            constants(f="1"),
            constants(g="2"),
            constants(g="None"),
            "constants = {letter: 1 for letter in 'abcdefg'}\n",
            "constants = {}\n",
        ],
    },
    "Exercise 2": {
        "right": [
            loop(V, U),
            largest("v = normalize(torch.randn(W.shape[1], dtype=W.dtype), dim=0)", "for _ in range(rounds):",
                    "    v = normalize(W.T @ (W @ v), dim=0)", "return (W @ v).norm()"),
            loop("v = W.T @ u / (W.T @ u).norm()", "u = W @ v / (W @ v).norm()", result="float(u @ (W @ v))"),
        ],
        "wrong": [
            largest("return W.norm()"),
            largest("return torch.linalg.svdvals(W)[0]"),
            largest("return W.abs().max()"),
            largest("return W.norm(dim=1).max()"),
            loop(V, "u = W @ v", result="(u @ W @ v)"),
            loop("u = normalize(W @ u, dim=0)", result="u.norm()"),
            loop(V, U, result="(u @ W @ v).item() ** 2"),
            loop(V, U, result="(v @ v).item()"),
            loop(V, U).replace("@torch.no_grad()\n", "").replace(".item()", ""),
            loop(V, U).replace("range(rounds)", "range(1)"),
            loop(V, U).replace("range(rounds)", "range(500)"),
        ],
    },
    "Exercise 3": {
        "right": [
            matrix(IS_TRANSPOSED, "    W = W.transpose(0, 1)", "return W.flatten(1)"),
            matrix(IS_TRANSPOSED, "    W = W.permute(1, 0, 2, 3)", "return W.reshape(len(W), -1)"),
            matrix("return W.movedim(int(isinstance(module, nn.ConvTranspose2d)), 0).flatten(1)"),
        ],
        "wrong": [
            matrix("return W.reshape(W.shape[0], -1)"),
            matrix("return W.reshape(W.shape[1], -1)"),
            matrix("return W.flatten(1).T"),
            matrix(IS_TRANSPOSED, "    return W.reshape(W.shape[1], -1)", "return W.flatten(1)"),
            matrix("W = W.transpose(0, 1)", "return W.flatten(1)"),
            matrix(IS_TRANSPOSED, "    return W.flatten(1).T", "return W.flatten(1)"),
            matrix("return W.flatten()"),
        ],
    },
    "Exercise 5": {
        "right": [
            hinge(D, G),
            hinge("(1 - real_logits).clamp(0).mean() + (1 + fake_logits).clamp(0).mean()", "(-fake_logits).mean()"),
            hinge("losses.discriminator_hinge(real_logits, fake_logits)", "losses.generator_wasserstein(fake_logits)"),
        ],
        "wrong": [
            hinge(D, "relu(1 - fake_logits).mean()"),
            hinge(D, "fake_logits.mean()"),
            hinge("relu(1 + real_logits).mean() + relu(1 - fake_logits).mean()", G),
            hinge("relu(real_logits - 1).mean() + relu(fake_logits + 1).mean()", G),
            hinge("(1 - real_logits).mean() + (1 + fake_logits).mean()", G),
            hinge("relu(1 - real_logits).sum() + relu(1 + fake_logits).sum()", G),
            hinge("0.5 * (relu(1 - real_logits).mean() + relu(1 + fake_logits).mean())", G),
            hinge("relu(1 - torch.sigmoid(real_logits)).mean() + relu(1 + torch.sigmoid(fake_logits)).mean()", G),
            hinge("relu(1 - real_logits.mean()) + relu(1 + fake_logits.mean())", G),
            hinge("relu(1 - real_logits).mean() + relu(1 + fake_logits.detach()).mean()", G),
            hinge("-torch.min(real_logits - 1, 0 * real_logits).mean()", G),
            hinge(D, "None"),
            hinge(D, "-fake_logits.detach().mean()"),
            hinge("relu(1 - real_logits).mean(0) + relu(1 + fake_logits).mean(0)", G),
        ],
    },
    "Exercise 7": {
        "right": [
            everywhere(),
            everywhere(which="nn.Conv2d | nn.Linear"),
            place(
                "discriminator.apply(lambda m: layers.spectral_norm(m) if type(m) in (nn.Conv2d, nn.Linear) else m)",
                "return generator, discriminator",
            ),
        ],
        "wrong": [
            everywhere("generator", "(nn.Conv2d, nn.ConvTranspose2d, nn.Linear)"),
            place(
                "for network in (generator, discriminator):",
                "    for m in list(network.modules()):",
                "        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):",
                "            layers.spectral_norm(m)",
                "return generator, discriminator",
            ),
            everywhere(which="nn.Conv2d"),
            everywhere(which="nn.Linear"),
            everywhere(modules="children()"),
            everywhere(norm="parametrizations.spectral_norm(m)"),
            everywhere(norm="layers.spectral_norm(layers.spectral_norm(m))"),
            everywhere().replace("return generator, discriminator", "return discriminator, generator"),
            everywhere(norm="m.weight.data.div_(m.weight.norm())"),
            place("return generator, discriminator"),
        ],
    },
    "Exercise 8": {
        "right": [
            operator(f"torch.linalg.matrix_norm({OPERATOR}, 2)"),
            operator(f"torch.linalg.svdvals({OPERATOR})[0].item()"),
            operator("norm_zero_padded(weight, n, stride, padding)"),
            operator("torch.linalg.eigvalsh(A.T @ A)[-1].sqrt()", f"A = {OPERATOR}"),
        ],
        "wrong": [
            operator("torch.linalg.matrix_norm(weight.flatten(1), 2)"),
            operator("k / stride * torch.linalg.matrix_norm(weight.flatten(1), 2)"),
            operator("norm_circular(weight, n)"),
            operator(f"{OPERATOR}.norm()"),
            operator(f"torch.linalg.matrix_norm({OPERATOR.replace(', padding=padding', '')}, 2)"),
            operator(f"torch.linalg.matrix_norm({OPERATOR.replace('stride=stride, ', '')}, 2)"),
            operator("weight.norm()"),
            operator("norm_zero_padded(weight, n)"),
        ],
    },
}  # fmt: skip
