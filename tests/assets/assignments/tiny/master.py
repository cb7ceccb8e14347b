# %% [markdown]
# # A tiny assignment, for the tests of the tools

# %%
# @title Setup
import torch

# %% [raw]
# # BEGIN QUESTION
# name: q1

# %% [markdown]
# ## Question 1: mean and variance

# %% [raw]
# # BEGIN SOLUTION

# %%
def mean(x):
    """Return the mean of a list."""
    # BEGIN SOLUTION
    return sum(x) / len(x)
    # END SOLUTION


def variance(x):
    """Return the unbiased variance of a list."""
    # BEGIN SOLUTION
    secret_centre = mean(x)
    return sum((value - secret_centre) ** 2 for value in x) / (len(x) - 1)
    # END SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_mean(mean):
    got = mean([1, 2, 6])
    assert got == 3, f"The mean of 1, 2 and 6 is 3, yours is {got}."

# %%
""" # BEGIN TEST CONFIG
points: 2
hidden: true
""" # END TEST CONFIG
def test_variance(variance):
    own_secret_numbers = [0, 0, 3, 3]
    assert variance(own_secret_numbers) == 3, "The variance is another one."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2

# %% [markdown]
# ## Question 2: the larger one

# %% [raw]
# # BEGIN SOLUTION

# %%
def larger(a, b):
    """Return the larger of two tensors, element by element."""
    return torch.where(a > b, a, b)  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS

# %%
""" # BEGIN TEST CONFIG
points: 1
""" # END TEST CONFIG
def test_larger(larger):
    import torch
    got = larger(torch.tensor([1, 5]), torch.tensor([4, 2]))
    assert torch.allclose(torch.as_tensor(got).double(), torch.tensor([4.0, 5.0]).double()), f"Of [1, 5] and [4, 2] the larger are [4, 5], yours are {got}."

# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %%
if passed("q1", "q2"):
    print("trained")

# %% [raw]
# # BEGIN QUESTION
# name: q3
# manual: true
# points: 2

# %% [markdown]
# ## Question 3: in words
#
# Why is the variance divided by $n - 1$?

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# Because the centre was estimated from the same numbers.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION
