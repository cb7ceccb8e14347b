"""Right and typical wrong answers to the exercises with an automatic check; see tests/test_exercises.py."""


def loss(result: str) -> str:
    return f"def repaired_critic_loss(critic, real, fake):\n    return {result}\n"


def penalty(
    result: str,
    *,
    epsilon: str = "epsilon.view(-1, 1, 1, 1)",
    between: str = "e * real + (1 - e) * fake",
    graph: bool = True,
) -> str:
    return f"""
def my_penalty(critic, real, fake, epsilon):
    e = {epsilon}
    between = ({between}).detach().requires_grad_(True)
    (g,) = torch.autograd.grad(critic(between).sum(), between, create_graph={graph})
    return {result}
"""


def update(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f'def critic_update(critic, optimizer, loss, clip):\n{body}\n    return "done"\n'


def one_sided(result: str, *, points: str = "between", graph: bool = True) -> str:
    return f"""
def one_sided(critic, between):
    x = {points}.detach().requires_grad_(True)
    (g,) = torch.autograd.grad(critic(x).sum(), x, create_graph={graph})
    return {result}
"""


EACH = "g.flatten(1).norm(dim=1)"
ZERO, BACKWARD, STEP = "optimizer.zero_grad()", "loss.backward()", "optimizer.step()"
CLIP = "losses.clip_weights(critic, clip)"

ANSWERS = {
    "Exercise 2": {
        "right": [
            loss("critic(fake).mean() - critic(real).mean()"),
            loss("-(critic(real).mean() - critic(fake).mean())"),
            loss("losses.critic_wasserstein(critic(real), critic(fake))"),
        ],
        "wrong": [
            loss("critic(fake).min() - critic(real).min()"),
            loss("(critic(real).mean() - critic(fake).mean()).abs()"),
            loss("torch.relu(critic(fake).mean() - critic(real).mean())"),
            loss("critic(fake)[0] - critic(real)[0]"),
            loss("-(critic(real).mean() + critic(fake).mean())"),
            loss("critic(real).mean() - critic(fake).mean()"),
            loss("critic(fake).sum() - critic(real).sum()"),
            loss("(critic(fake).mean() - critic(real).mean()).detach()"),
            loss("(critic(fake).mean() - critic(real).mean()).item()"),
            loss("critic(fake).median() - critic(real).median()"),
            loss("critic(fake).max() - critic(real).max()"),
            loss("(critic(fake).mean() - critic(real).mean()) ** 3"),
            loss("torch.tanh(critic(fake).mean() - critic(real).mean())"),
            loss("critic(fake) - critic(real)"),
            loss("torch.cat([critic(fake), -critic(real)]).mean()"),
            loss("critic(fake).mean() - critic(real).mean().detach()"),
            loss("4.0 + 0 * critic(fake).mean()"),
        ],
    },
    "Exercise 3": {
        "right": [
            penalty(f"({EACH} - 1).square().mean()"),
            penalty("((g.square().sum(dim=(1, 2, 3)).sqrt() - 1) ** 2).mean()"),
            penalty(f"({EACH} - 1).pow(2).mean()", between="torch.lerp(fake, real, e)"),
        ],
        "wrong": [
            penalty("(g.norm() - 1) ** 2"),
            penalty(f"({EACH} - 1).square().mean()", epsilon="epsilon[0]"),
            penalty(f"({EACH} - 1).square().mean()", epsilon="torch.rand(1)"),
            penalty(f"({EACH} - 1).square().mean()", between="(1 - e) * real + e * fake"),
            penalty(f"({EACH}.mean() - 1).square()"),
            penalty("(g.flatten(1).square().sum(1) - 1).square().mean()"),
            penalty("(g.norm(dim=1) - 1).square().mean()"),
            penalty("(g.flatten(2).norm(dim=2) - 1).square().mean()"),
            penalty(f"({EACH} - 1).square().sum()"),
            penalty(f"relu({EACH} - 1).square().mean()"),
            penalty(f"({EACH} - 1).square().mean()", graph=False),
            penalty(f"({EACH} - 1).square().mean()", epsilon="epsilon"),
        ],
    },
    "Exercise 5": {
        "right": [
            update(ZERO, BACKWARD, STEP, CLIP),
            update(BACKWARD, STEP, ZERO, "for p in critic.parameters():\n        p.data.clamp_(-clip, clip)"),
            update("common.update(optimizer, loss)", CLIP),
        ],
        "wrong": [
            update(ZERO, BACKWARD, STEP, "for p in critic.parameters():\n        p.data.clamp_(max=clip)"),
            update(ZERO, BACKWARD, STEP, "for p in critic.parameters():\n        p.data.clamp_(0, clip)"),
            update(ZERO, BACKWARD, CLIP, STEP),
            update(BACKWARD, STEP, CLIP),
            update(ZERO, BACKWARD, STEP),
            update(ZERO, BACKWARD, CLIP),
            update(ZERO, BACKWARD, "nn.utils.clip_grad_value_(critic.parameters(), clip)", STEP),
            update(ZERO, BACKWARD, STEP, "with torch.no_grad():\n        critic.weight.clamp_(-clip, clip)"),
            update(ZERO, BACKWARD, STEP, "with torch.no_grad():\n        critic.weight.clamp_(0, clip / 2)"),
            update(ZERO, "(-loss).backward()", STEP, CLIP),
            update(STEP, CLIP, ZERO, BACKWARD),
            update("with torch.no_grad():\n        critic.weight.fill_(clip)"),
        ],
    },
    "Exercise 8": {
        "right": [
            one_sided(f"relu({EACH} - 1).square().mean()"),
            one_sided(f"torch.clamp({EACH} - 1, min=0).pow(2).mean()"),
        ],
        "wrong": [
            one_sided(f"relu({EACH}.mean() - 1) ** 2"),
            one_sided("relu(g.mean(0).norm() - 1) ** 2"),
            one_sided(f"relu({EACH} - 1).mean() ** 2"),
            one_sided(f"relu({EACH}[0] - 1) ** 2"),
            one_sided(f"relu({EACH}.max() - 1) ** 2"),
            one_sided(f"relu({EACH} - 1).square().mean()", points="torch.zeros_like(between)"),
            one_sided(f"({EACH} - 1).square().mean()"),
            one_sided(f"relu({EACH} - 1).mean()"),
            one_sided(f"relu({EACH}.square() - 1).mean()"),
            one_sided("relu(g.norm() - 1) ** 2"),
            one_sided(f"relu({EACH} - 1).square().mean()", graph=False),
            one_sided("relu(g.norm(dim=1) - 1).square().mean()"),
        ],
    },
}
