"""Bad input as a person meets it: every program answers with one sentence, exit code 2, and nothing written.

The programs run in this process, by the command line that a person types. `test_bad_runs` has those that read a run.
"""

from __future__ import annotations

import pytest

from tests.refusals import LIMITED, TINY, Refused


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "env=kitchen-foo",
            "unknown env 'kitchen-foo'; the valid ones are adroit-door, fetch, fetch-pick",
        ),
        ("assistant=foo", "unknown assistant 'foo'; the valid ones are any-order, bc, conditional-bc"),
        ("model=huge", "unknown model 'huge'; the valid ones are paper, small"),
        ("schedule=foo", "unknown schedule 'foo'; the valid ones are constant, cosine, step"),
        ("data=foo", "unknown data 'foo'; the valid ones are d4rl, hdf5, minari, mix, npz, operator, scripted"),
        ("experiment=foo", "unknown experiment 'foo'; the valid ones are "),
        ("experiment=intent", "unknown experiment 'intent'; the valid ones are paper, smoke"),
        ("select=foo", "unknown key 'select'; the valid ones are actions, assistant, data"),
        ("assistant.select=foo", "unknown select 'foo'; the valid ones are mean, mode, sample"),
        ("operator=expert", "there is no group 'operator' to choose from here; the valid ones are assistant, data"),
        ("env.tasks=[sink]", "unknown task 'sink'; the valid tasks are microwave, kettle"),
        ("env.tasks=[]", "must be one or more different ones of microwave, kettle"),
        ("training.steps=00143", "training.steps must be a whole number of at least 1, got '00143'"),
        ("training.steps=-1", "training.steps must be a whole number of at least 1, got -1"),
        ("training=foo", "training=foo is no group to choose from; set its keys"),
        ("model.width=-3", "model.width must be a whole number of at least 1, got -3"),
        ("model.width=abc", "model.width must be a whole number of at least 1, got 'abc'"),
        ("assistant._target_=foo.bar", "assistant: there is no such class"),
        ("seed=abc", "seed must be a whole number of at least 0, got 'abc'"),
        ("device=gpu", "device=gpu is not on this machine; the valid ones are auto, cpu"),
        ("evaluation.video=maybe", "evaluation.video must be true or false, got 'maybe'"),
        ("data.path=null", "give data.path=FILE or data.path=[FILE,FILE]"),
        ("data.path=5", "give data.path=FILE or data.path=[FILE,FILE]"),
        ("run=good.hdf5", "good.hdf5 is already in use"),
    ],
)
def test_training(refused: Refused, override: str, words: str) -> None:
    assert words in refused("autonomy.train", "data=d4rl", "data.path=good.hdf5", "run=new", *TINY, *LIMITED, override)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("env.noise=loud", "unknown noise 'loud'; the valid ones are v1, d4rl"),
        ("env.perturbed_start=5", "perturbed_start must be true, false or a number between 0 and 1"),
        ("env.max_episode_steps=0", "max_episode_steps must be a whole number"),
    ],
)
def test_a_world_that_cannot_be_is_refused_before_training(refused: Refused, override: str, words: str) -> None:
    assert words in refused("autonomy.train", "data=d4rl", "data.path=good.hdf5", "run=new", *TINY, override)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("missing.hdf5", "missing.hdf5: there is no such file"),
        ("cut.hdf5", "cut.hdf5: damaged, truncated or no HDF5 file"),
        ("text.hdf5", "text.hdf5: damaged, truncated or no HDF5 file"),
        ("wide.hdf5", "observations (9, 60) and actions (9, 7); valid widths with obs=pose are"),
        ("nan.hdf5", "action nan in row 2, dimension 3; valid actions are finite numbers between -1 and 1"),
        ("big.hdf5", "action 1.5 in row 2, dimension 3; valid actions are finite numbers between -1 and 1"),
    ],
)
def test_data(refused: Refused, file: str, words: str) -> None:
    source = ["data=d4rl", f"data.path={file}"]
    assert words in refused("autonomy.data", *source)
    assert words in refused("autonomy.train", *source, "run=new", *TINY, *LIMITED)


def test_data_that_are_not_there(refused: Refused) -> None:
    sentence = refused("autonomy.data", "data=minari")
    assert "D4RL/kitchen/mixed-v2 is not in the local store" in sentence
    assert "data.download=true" in sentence
    assert "give data.path=FILE" in refused("autonomy.train", "data=d4rl")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["experiment=foo"], "unknown experiment 'foo'; the valid ones are "),
        (["assistants=[foo]"], "unknown assistant 'foo'; the valid ones are any-order, bc, conditional-bc"),
        (["cells=[]"], "cells must be a list of one or more"),
        (["+curves.k={play:['channels=random-1']}"], "the curve k needs play, key and values"),
        (["+curves.k={play:['channels=random-1'],key:channels.foo,values:[1]}"], "has no key 'foo'"),
        (
            ["+curves.k={play:[],key:'channels=random-{}',values:[10]}"],
            "unknown channels 'random-10'; the valid ones are",
        ),
        (["training_seeds=[0,0]"], "training_seeds must be different from each other, got [0, 0]"),
        (["stage=foo"], "unknown stage 'foo'; the valid ones are all, data, train, play"),
        (["shards=2", "shard=2"], "shard must be below shards=2, got 2"),
        (["budget=foo"], "unknown budget 'foo'; the valid ones are equal, own"),
        (["cells=[5]"], "cells must be lists such as [operator=expert, channels=shoulder], got 5"),
        (["cells=[['channels=foo']]"], "unknown channels 'foo'; the valid ones are arm, base"),
        (["out=good.hdf5"], "cannot write to out=good.hdf5"),
        (["episodes=0"], "episodes must be a whole number of at least 1"),
    ],
)
def test_benchmarks(refused: Refused, overrides: list[str], words: str) -> None:
    assert words in refused("eval.benchmark", "train=['data=d4rl','data.path=good.hdf5']", "out=never", *overrides)


def test_the_expert(refused: Refused) -> None:
    assert "folder that exists" in refused("envs.kitchen.expert", "--video", "missing/expert.mp4")
