"""The chapter's DCGAN in PyTorch, Keras and JAX: the same weights and inputs give the same outputs and the same step.

Tests that need TensorFlow or JAX are skipped where they are missing, and run by `make frameworks`.
"""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from benchmarks import common
from benchmarks import frameworks as benchmark
from gan_course.models.dcgan import Discriminator, Generator
from gan_course.notebook import stored
from tools.experiments import frameworks

CPU = torch.device("cpu")
LR = 5e-4
SMALL = {"width": 4, "batch": 16, "lr": LR, "data_name": "digits"}


@pytest.fixture(scope="module")
def chapter():
    return frameworks.chapter()


@pytest.fixture(scope="module")
def keras(chapter):
    if chapter.keras is None:
        pytest.skip("TensorFlow is not installed: make frameworks")
    return chapter.keras


@pytest.fixture(scope="module")
def jax(chapter):
    if chapter.jax is None:
        pytest.skip("JAX is not installed: make frameworks")
    return chapter.jax


def pair(code, name: str, seed: int = 0, width: int = 4, **settings):
    """PyTorch's twin and another one with its weights."""
    torch.manual_seed(seed)
    ours = code.TorchTwin(width, LR)
    theirs = {"Keras": code.KerasTwin, "JAX": code.JaxTwin}[name](width, LR, **settings)
    theirs.take(ours.give())
    return ours, theirs


def inputs(seed: int = 0, batch: int = 16):
    latents = torch.Generator().manual_seed(seed)
    dtype = torch.get_default_dtype()
    x = torch.rand(batch, 1, 16, 16, generator=latents, dtype=dtype) * 2 - 1
    return x, *torch.randn(2, batch, 64, generator=latents, dtype=dtype)


# --- without the other libraries ----------------------------------------------------------------------


def test_the_networks_are_the_packages(chapter):
    for ours, theirs in (
        (chapter.torch_generator(width=4), Generator((1, 16, 16), 64, 4)),
        (chapter.torch_discriminator(4), Discriminator((1, 16, 16), 4)),
    ):
        ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
        x = torch.randn(8, *((64,) if isinstance(theirs, Generator) else (1, 16, 16)))
        torch.testing.assert_close(ours(x).flatten(), theirs(x).flatten())


def test_pytorch_computes_what_tensorflow_computed():
    table = stored("frameworks_reference")
    assert table["versions"]["tensorflow"]
    row, width = table["rows"][0], table["settings"]["width"]
    with frameworks.precision("float64") as code:
        ours = code.TorchTwin(width)
        frameworks.fixed(ours.G), frameworks.fixed(ours.D)
        x, z_d, z_g = frameworks.fixed_inputs()
        logits, images = ours.run(ours.D, x, True), ours.run(ours.G, z_d, True)
        losses = code.one_step(ours, x, z_d, z_g)
    np.testing.assert_allclose(logits.flatten(), row["logits"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(images[0, 0], row["image"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(losses, [row["loss_d"], row["loss_g"]], rtol=1e-5)
    assert np.std(row["image"]) > 0.1 and np.std(row["logits"]) > 0.1  # something is compared


def test_dense_weights_follow_their_places(chapter):
    """Channels last: the dense layer behind flattened maps computes the same from maps whose axes were turned."""
    torch.manual_seed(0)
    d = chapter.torch_discriminator(4)
    maps = torch.randn(3, 8, 4, 4)
    kernel, bias = chapter.in_keras_layout(d[-1])
    theirs = maps.permute(0, 2, 3, 1).flatten(1).numpy() @ kernel + bias
    np.testing.assert_allclose(theirs, d[-1](maps.flatten(1)).detach(), rtol=1e-4, atol=1e-5)
    g = chapter.torch_generator(width=4)
    z = torch.randn(3, 64)
    (kernel,) = chapter.in_keras_layout(g[0])
    theirs = (z.numpy() @ kernel).reshape(3, 4, 4, 8).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(theirs, g[1](g[0](z)).detach(), rtol=1e-4, atol=1e-5)


def test_batches_are_the_same_for_all_and_new_in_each_step():
    train_set, _ = frameworks.sets("digits", CPU)
    first, again = (list(frameworks.batches(3, train_set, 8, 2)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(not torch.equal(x, y) for x, y in zip(*first, strict=True))
    assert not torch.equal(first[0][1], first[0][2])


def test_the_chapters_names_are_put_back_to_float32(chapter):
    with frameworks.precision("float64") as code:
        assert code.torch_generator(width=2)[0].weight.dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert chapter.torch_generator(width=2)[0].weight.dtype == torch.float32


def test_keras_computes_in_float64_although_it_has_computed_in_float32(chapter, keras):
    assert chapter.KerasTwin(2).G.weights[0].dtype == "float32"
    with frameworks.precision("float64") as code:
        twin = code.KerasTwin(2)
        assert {w.dtype for w in [*twin.G.weights, *twin.D.weights]} == {"float64"}
        assert twin.run(twin.G, torch.zeros(2, 64), False).dtype == torch.float64
    assert chapter.KerasTwin(2).G.weights[0].dtype == "float32"


def test_the_benchmark_needs_both_and_says_so(monkeypatch, capsys):
    nothing = copy.copy(frameworks.chapter())
    nothing.keras = None
    monkeypatch.setattr(frameworks, "chapter", lambda: nothing)
    monkeypatch.setattr(benchmark, "bind", lambda threads: None)
    assert benchmark.main([]) == 2 and "make frameworks" in capsys.readouterr().err


# --- the same weights, the same inputs ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["Keras", "JAX"])
@pytest.mark.parametrize("train", [True, False])
def test_images_and_logits_are_the_same(chapter, keras, jax, name, train):
    ours, theirs = pair(chapter, name)
    for twin in (ours, theirs):
        chapter.one_step(twin, *inputs())  # so that batch norm's averages are no longer 0 and 1
    theirs.take(ours.give())
    x, z, _ = inputs(1)
    for network, given in (("G", z), ("D", x)):
        a, b = (twin.run(getattr(twin, network), given, train) for twin in (ours, theirs))
        assert a.shape == b.shape and a.std() > 1e-4
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["Keras", "JAX"])
def test_a_step_is_the_same(keras, jax, name):
    """Losses, and every weight to a millionth of the learning rate, in float64."""
    with frameworks.precision("float64") as code:
        settings = {"epsilon": 1e-8 * (1 - frameworks.BETA2) ** 0.5} if name == "Keras" else {}
        ours, theirs = pair(code, name, **settings)
        if name == "Keras":
            frameworks.exact(ours, theirs)
        before = ours.give()
        losses = [code.one_step(twin, *inputs()) for twin in (ours, theirs)]
        after = [twin.give() for twin in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-10)
    moved, off = frameworks.distances(after[0], before), frameworks.distances(*after)
    assert frameworks.rms(moved) > 0.5 * LR
    assert abs(off).max() < 1e-6 * LR


@pytest.mark.parametrize("name", ["Keras", "JAX"])
def test_a_step_in_float32_is_the_same_but_for_rounding(chapter, keras, jax, name):
    ours, theirs = pair(chapter, name, **({"epsilon": 1e-8 * 0.001**0.5} if name == "Keras" else {}))
    losses = [chapter.one_step(twin, *inputs()) for twin in (ours, theirs)]
    np.testing.assert_allclose(*losses, atol=1e-4)
    off = frameworks.distances(ours.give(), theirs.give())
    # Where a gradient is nearly 0, rounding chooses its sign, and Adam's first step has that sign.
    assert np.mean(abs(off) > 0.01 * LR) < 0.02


def test_five_steps_of_jax_are_pytorchs(jax):
    with frameworks.precision("float64") as code:
        ours, theirs = pair(code, "JAX")
        for seed in range(5):
            losses = [code.one_step(twin, *inputs(seed)) for twin in (ours, theirs)]
        off = frameworks.distances(ours.give(), theirs.give())
        averages = [twin.give()[0][1] for twin in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert frameworks.rms(off) < 1e-4 * LR
    np.testing.assert_allclose(averages[0][2], averages[1][2], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(averages[0][3], averages[1][3], rtol=1e-6)  # the variance with n - 1


def test_what_batch_norm_remembers_in_keras(chapter, keras):
    ours, theirs = pair(chapter, "Keras")
    batch = 16
    _, z, _ = inputs(0, batch)
    ours.run(ours.G, z, True), theirs.run(theirs.G, z, True)
    (_, _, mean, variance), (_, _, their_mean, their_variance) = ours.give()[0][1], theirs.give()[0][1]
    n = batch * 16
    np.testing.assert_allclose(their_mean, mean, rtol=1e-4, atol=1e-6)
    expected = 0.9 + (np.asarray(variance) - 0.9) * (n - 1) / n  # with n where PyTorch has n - 1
    np.testing.assert_allclose(their_variance, expected, rtol=1e-5)


# --- what each library begins with --------------------------------------------------------------------


def test_the_defaults_are_those_of_the_chapters_table(keras):
    layers = keras.layers
    assert layers.LeakyReLU().negative_slope == pytest.approx(0.3) and nn.LeakyReLU().negative_slope == 0.01
    norm, ours = layers.BatchNormalization(), nn.BatchNorm2d(1)
    assert (norm.epsilon, norm.momentum) == (1e-3, 0.99) and (ours.eps, ours.momentum) == (1e-5, 0.1)
    assert keras.optimizers.Adam().epsilon == 1e-7
    assert torch.optim.Adam([torch.zeros(1, requires_grad=True)]).defaults["eps"] == 1e-8
    convolution = layers.Conv2D(4, 3)
    assert type(convolution.kernel_initializer).__name__ == "GlorotUniform" and convolution.padding == "valid"
    assert keras.losses.BinaryCrossentropy().from_logits is False
    network = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(epsilon=0)])
    x = np.random.default_rng(0).normal(5, 2, (64, 3)).astype("float32")
    np.testing.assert_allclose(network(x), x, rtol=1e-5)  # evaluation, if nothing is said
    assert nn.BatchNorm2d(1).training


def test_jax_begins_with_torchs_slope(jax):
    assert float(jax.nn.leaky_relu(-1.0)) == pytest.approx(-0.01)


def test_kerass_adam_is_the_form_at_the_end_of_section_2(keras):
    gradients = 1e-6 * np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    weight = keras.Variable(np.zeros(3, "float32"))
    adam = keras.optimizers.Adam(0.1, 0.5, 0.999)
    p, m, v = (np.zeros(3) for _ in range(3))
    for t, g in enumerate(gradients.astype(float), 1):
        adam.apply([gradients[t - 1]], [weight])
        m, v = 0.5 * m + 0.5 * g, 0.999 * v + 0.001 * g**2
        p -= 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.5**t) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(weight.numpy(), p, rtol=1e-3)


@pytest.mark.parametrize(("kernel", "before", "after"), [(5, 1, 2), (4, 1, 1), (3, 0, 1)])
def test_same_pads_as_the_chapter_on_upsampling_says(keras, kernel, before, after):
    draw = np.random.default_rng(0)
    image = draw.normal(size=(2, 28, 28, 3)).astype("float32")
    weight = draw.normal(size=(kernel, kernel, 3, 4)).astype("float32")
    down = keras.layers.Conv2D(4, kernel, 2, padding="same", use_bias=False)
    down.build(image.shape)
    down.set_weights([weight])
    theirs = torch.tensor(np.array(down(image))).permute(0, 3, 1, 2)
    x, w = torch.tensor(image).permute(0, 3, 1, 2), torch.tensor(weight).permute(3, 2, 0, 1)
    torch.testing.assert_close(conv2d(pad(x, (before, after) * 2), w, None, 2), theirs, rtol=1e-4, atol=1e-4)

    up = keras.layers.Conv2DTranspose(3, kernel, 2, padding="same", use_bias=False)
    up.build((2, 14, 14, 4))
    up.set_weights([weight])  # of the convolution whose transpose it is
    theirs = torch.tensor(np.array(up(theirs.permute(0, 2, 3, 1).numpy()))).permute(0, 3, 1, 2)
    small = conv2d(pad(x, (before, after) * 2), w, None, 2)
    whole = conv_transpose2d(small, w, None, 2)
    ours = whole[..., before : before + 28, before : before + 28]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_a_loss_for_probabilities_is_blind_outside_of_0_and_1(chapter, keras):
    tf = chapter.tf
    logits = tf.Variable([[-3.0], [-0.5], [0.5], [1.5], [20.0]])
    with tf.GradientTape() as tape:
        loss = keras.losses.BinaryCrossentropy()(tf.ones((5, 1)), logits)
    np.testing.assert_allclose(tape.gradient(loss, logits)[:, 0], [0, 0, -1 / 0.5 / 5, 0, 0], rtol=1e-5)


def test_keras_sees_a_second_sigmoid_if_it_is_its_own_or_in_a_graph(chapter, keras):
    tf = chapter.tf
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    logits = tf.constant([[-1.0], [2.0]])
    right = float(bce(tf.ones((2, 1)), logits))
    twice = float(np.log1p(np.exp(-1 / (1 + np.exp([1.0, -2.0])))).mean())
    assert abs(right - twice) > 0.05

    def losses(sigmoid):
        def loss(x):
            return bce(tf.ones((2, 1)), sigmoid(x))

        return [float(loss(logits)), float(tf.function(loss)(logits))]

    with pytest.warns(UserWarning, match="from_logits"):
        assert losses(tf.sigmoid) == pytest.approx([twice, right], rel=1e-5)
    with pytest.warns(UserWarning, match="from_logits"):
        assert losses(keras.layers.Activation("sigmoid")) == pytest.approx([right, right], rel=1e-5)
    hidden = keras.layers.Activation("sigmoid")
    assert losses(lambda x: tf.reshape(hidden(x), (2, 1))) == pytest.approx([twice, twice], rel=1e-5)


def test_arguments_of_the_loss_that_are_swapped_raise_no_error(chapter, keras):
    logits, ones = [[-1.0], [2.0]], [[1.0], [1.0]]
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)
    ours = nn.BCEWithLogitsLoss()
    a, b = torch.tensor(logits, requires_grad=True), torch.tensor(ones)
    ours(b, a).backward()
    assert ours(b, a).item() == pytest.approx(float(theirs(chapter.tf.constant(logits), chapter.tf.constant(ones))))
    assert not torch.isclose(ours(b, a), ours(a, b))


def test_a_transposed_convolution_in_jax_turns_the_kernel_unless_told(jax):
    draw = np.random.default_rng(0)
    x, weight = draw.normal(size=(1, 5, 5, 2)), draw.normal(size=(4, 4, 3, 2))  # (k, k, out, in)
    arguments = {"strides": (2, 2), "padding": "SAME"}
    told = jax.lax.conv_transpose(x, weight, transpose_kernel=True, **arguments)
    plain = jax.lax.conv_transpose(x, weight[::-1, ::-1].swapaxes(2, 3), **arguments)
    np.testing.assert_allclose(told, plain, rtol=1e-4, atol=1e-5)
    ours = conv_transpose2d(torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(weight).permute(3, 2, 0, 1), None, 2, 1)
    np.testing.assert_allclose(told, ours.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


# --- the experiments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["nothing", "slope", "epsilon", "momentum", "adam", "training", "logits", "order"])
def test_a_setting_that_is_left_changes_what_it_should(keras, jax, change):
    found = frameworks.left(0, CPU, change=change, steps=3, **SMALL)
    forward = max(found["logits"], found["images"])
    if change in ("nothing", "momentum", "adam", "logits"):
        assert forward < 1e-5
    else:
        assert forward > 1e-4
    if change in ("nothing", "momentum"):
        assert found["update_d"] < 0.1
    if change in ("momentum", "training", "logits", "slope", "order"):
        assert found["drawn"] > 0.02
    if change == "nothing":
        assert found["drawn"] < 0.02
    if change == "logits":
        assert found["loss_d"] > found["loss_d_torch"] + 1 and found["update_d"] > 0.1


def test_settings_puts_five_of_them_back(chapter, keras):
    twin = chapter.KerasTwin(4)
    frameworks.leave("settings", twin, 4, 0)
    slopes = [layer.negative_slope for layer in twin.D.layers if isinstance(layer, keras.layers.LeakyReLU)]
    norms = [layer for layer in [*twin.G.layers, *twin.D.layers] if isinstance(layer, keras.layers.BatchNormalization)]
    assert slopes == pytest.approx([0.3, 0.3]) and {(n.epsilon, n.momentum) for n in norms} == {(1e-3, 0.99)}
    assert twin.opt_g.epsilon == twin.opt_d.epsilon == 1e-7
    kernel = twin.give()[1][0][0]  # Glorot's: 16 inputs, 64 outputs per place
    assert abs(kernel).max() < math.sqrt(6 / (16 + 64)) and kernel.std() > 0.1


def test_a_training_gives_a_row(keras, jax):
    row = frameworks.trained(0, CPU, change="nothing", steps=2, **SMALL)
    assert set(row) == {"frechet", "loss_d", "loss_g"} and all(map(math.isfinite, row.values()))
    row = frameworks.apart(0, CPU, steps=3, at=[1, 3], **SMALL)
    assert set(row["apart"]) == {"keras", "jax", "nudged"}
    assert all(0 <= x < 0.1 for off in row["apart"].values() for x in off)
    assert {"frechet_pytorch", "frechet_keras", "frechet_jax", "frechet_nudged"} < set(row)


def test_the_benchmark_measures_each_way(keras, jax, monkeypatch, tmp_path):
    monkeypatch.setattr(common, "FOLDER", tmp_path)
    monkeypatch.setattr(benchmark, "bind", lambda threads: None)
    assert benchmark.main(["--rounds", "1", "--steps", "1", "--width", "2", "--batch", "4"]) == 0
    table = json.loads((tmp_path / "benchmark_frameworks.json").read_text())
    ways = [row["way"] for row in table["rows"]]
    torch_ways = ["PyTorch", "PyTorch, G's slopes only", "PyTorch, channels_last"]
    assert ways == [*torch_ways, "Keras", "Keras, eager", "Keras, XLA", "JAX"]
    assert table["rows"][0]["ratio"] == 1 and all(row["ms"] > 0 for row in table["rows"])
    assert {"torch", "tensorflow", "keras", "jax"} <= set(table["versions"])


def test_the_ways_of_the_benchmark_compute_the_same(chapter, keras, jax):
    losses = []
    for twin in benchmark.ways(chapter, 2, compiled=False).values():
        losses.append([float(x) for x in twin.step(*map(twin.native, inputs()))])
    for found in losses[1:]:
        np.testing.assert_allclose(found, losses[0], atol=1e-4)


def test_gradients_of_d_that_nobody_needs_can_be_left_out(chapter, keras, jax):
    """In the generator's part only: D still learns, step after step."""
    made = benchmark.ways(chapter, 2, compiled=False)
    plain, lean = made["PyTorch"], made["PyTorch, G's slopes only"]
    for seed in range(3):
        losses = [chapter.one_step(twin, *inputs(seed)) for twin in (plain, lean)]
        np.testing.assert_allclose(*losses, rtol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(plain.D.parameters(), lean.D.parameters(), strict=True))
    assert not torch.equal(plain.D[0].weight.grad, lean.D[0].weight.grad)  # the plain one has those of G's part on top
