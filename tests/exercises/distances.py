"""Right and wrong answers to the exercises of book/foundations/distances.ipynb."""

JS = """
def repaired_js(p, q):
    m = (p + q) / 2
    {body}
"""

NEYMAN = """
def neyman_derivative(u):
    return {derivative}


def neyman_conjugate(t):
    return {conjugate}
"""

W1 = """
def w1_histograms(places_a, weights_a, places_b, weights_b):
    {body}
"""

MERGED = """places = np.concatenate([places_a, places_b])
    jumps = np.concatenate([weights_a, -weights_b])
    order = places.argsort()
    places, gap = places[order], jumps[order].cumsum()[:-1]
    """

HONEST = """
def reported(critic, real, fake):
    return critic(real).mean() - critic(fake).mean()


def honest(critic, real, fake, places):
    {body}
"""

ANSWERS = {
    "Exercise 2": {
        "right": [
            JS.format(body="return scipy.spatial.distance.jensenshannon(p, q) ** 2"),
            JS.format(body="return sum(0.5 * (a[a > 0] * (a / m)[a > 0].log()).sum() for a in (p, q))"),
            JS.format(body="return sum(torch.special.entr(m)) - 0.5 * torch.special.entr(torch.stack([p, q])).sum()"),
        ],
        "wrong": [
            # NaN where a bin is empty in both
            JS.format(body="return 0.5 * (torch.xlogy(p, p / m).sum() + torch.xlogy(q, q / m).sum())"),
            # half of Jeffreys' divergence
            JS.format(body="return 0.5 * (torch.xlogy(p, p / q).sum() + torch.xlogy(q, q / p).sum())"),
            JS.format(body="return scipy.spatial.distance.jensenshannon(p, q)"),  # the root
            JS.format(body="return scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2"),  # bits
            JS.format(body="return (torch.xlogy(p, p) - torch.xlogy(p, m)).sum()"),  # one side only
            JS.format(body="return (torch.xlogy(p, p) + torch.xlogy(q, q) - 2 * torch.xlogy(m, m)).sum()"),  # 2 JS
            JS.format(body="return scipy.special.rel_entr(p, m)"),  # not summed
            JS.format(body="return p.no_such_method()"),
        ],
    },
    "Exercise 4": {
        "right": [
            NEYMAN.format(derivative="1 - u**-2.0", conjugate="2 * (1 - torch.sqrt(1 - t))"),
            NEYMAN.format(derivative="(u - 1) * (u + 1) / u.square()", conjugate="2 * t / (1 + (1 - t) ** 0.5)"),
        ],
        "wrong": [
            NEYMAN.format(derivative="2 * (u - 1)", conjugate="t**2 / 4 + t"),  # Pearson's
            NEYMAN.format(derivative="1 - u**-2.0", conjugate="-2 * torch.sqrt(1 - t)"),  # the constant is lost
            NEYMAN.format(derivative="1 + u**-2.0", conjugate="2 - 2 * torch.sqrt(1 - t)"),  # a sign
            NEYMAN.format(derivative="1 - u**-2.0", conjugate="2 - 2 * torch.sqrt(1 + t)"),
            NEYMAN.format(derivative="1 - 1 / u", conjugate="2 - 2 * torch.sqrt(1 - t)"),
            NEYMAN.format(derivative="1 - u**-2.0", conjugate="2 * torch.sqrt(1 - t) - 2"),  # f - ut
            NEYMAN.format(derivative="1 - u**-2.0", conjugate="torch.zeros(())"),
            NEYMAN.format(derivative="1 - u**-2.0", conjugate="None"),
        ],
    },
    "Exercise 7": {
        "right": [
            W1.format(body=MERGED + "return (abs(gap) * np.diff(places)).sum()"),
            W1.format(
                body="""places = np.unique(np.concatenate([places_a, places_b]))
    total = 0.0
    for left, right in zip(places, places[1:]):
        gap = weights_a[places_a <= left].sum() - weights_b[places_b <= left].sum()
        total += abs(gap) * (right - left)
    return total"""
            ),
        ],
        "wrong": [
            W1.format(body=MERGED + "return abs((gap * np.diff(places)).sum())"),  # the difference of the means
            W1.format(body=MERGED + "return abs(gap).sum()"),  # no widths
            W1.format(body=MERGED + "return (gap**2 * np.diff(places)).sum()"),  # half of the energy distance
            W1.format(body="return abs(np.sort(places_a) - np.sort(places_b)).mean()"),  # no weights
            W1.format(body="return abs(places_a @ weights_a - places_b @ weights_b)"),
            W1.format(
                body="""places = np.sort(np.concatenate([places_a, places_b]))
    gap = np.concatenate([weights_a, -weights_b]).cumsum()[:-1]
    return (abs(gap) * np.diff(places)).sum()"""  # the weights are left unsorted
            ),
        ],
    },
    "Exercise 8": {
        "right": [
            HONEST.format(
                body="""slopes = (critic(places)[1:] - critic(places)[:-1]) / (places[1:, 0] - places[:-1, 0])
    return (reported(critic, real, fake) / slopes.abs().amax()).item()"""
            ),
            HONEST.format(
                body="""at = places.clone().requires_grad_(True)
    slopes = torch.autograd.grad(critic(at).sum(), at)[0]
    return reported(critic, real, fake) / slopes.abs().max()"""
            ),
        ],
        "wrong": [
            HONEST.format(body="return reported(critic, real, fake)"),
            HONEST.format(body="return reported(critic, real, fake) / 1.3"),  # the number of the example
            HONEST.format(  # the steepest rise only
                body="""slopes = critic(places).diff() / places[:, 0].diff()
    return reported(critic, real, fake) / slopes.max()"""
            ),
            HONEST.format(
                body="""slopes = critic(places).diff() / places[:, 0].diff()
    return reported(critic, real, fake) / slopes.abs().mean()"""
            ),
            HONEST.format(  # as if the places were even
                body="""slopes = critic(places).diff() / (places[1, 0] - places[0, 0])
    return reported(critic, real, fake) / slopes.abs().max()"""
            ),
            HONEST.format(body="return reported(critic, real, fake) / critic(places).abs().max()"),
            HONEST.format(  # multiplied
                body="""slopes = critic(places).diff() / places[:, 0].diff()
    return reported(critic, real, fake) * slopes.abs().max()"""
            ),
        ],
    },
}
