"""The two passes of LSUV through a model: one that looks, one that changes the kernels."""

import collections
import functools
import math

from keras_dcnn._keras.compiling import is_traced
from keras_dcnn._keras.variables import assign
from keras_dcnn._state.layer_calls import intercepted, letting_go_of_activations
from keras_dcnn.initializers._orthonormal import orthonormal_kernel


def look(model, inputs, kernels, tick):
    """Measure the kernels as they are, and note why some can't be treated.

    `tick()` is called after each kernel, here and in `treat`.
    """
    calls = collections.Counter()
    _run(model, inputs, kernels, functools.partial(_look, calls, tick))
    for kernel in kernels:
        count = calls[id(kernel.variable)]
        if not kernel.note and count != 1:
            kernel.note = f"shared, called {count} times" if count else "not called"


def treat(model, inputs, kernels, tick, generator, tolerance, max_iterations):
    """Make orthonormal and scale, each as its layer is called, so that the next sees the change."""

    def visit(kernel, call):
        if not kernel.note:
            _treat(kernel, call, generator, tolerance, max_iterations)
            tick()

    _run(model, inputs, kernels, visit)


def _run(model, inputs, kernels, visit):
    """Run the model, with `visit(kernel, call)` for each kernel before each call of its layer."""
    of_layer = collections.defaultdict(list)
    for kernel in kernels:
        if kernel.variable is not None:
            of_layer[kernel.layer].append(kernel)

    def visit_layer(layer, call):
        for kernel in of_layer[layer]:
            visit(kernel, call)

    with letting_go_of_activations(model), intercepted(list(of_layer), visit_layer):
        model(inputs, training=False)


def _look(calls, tick, kernel, call):
    """Measure a kernel at its first call; `calls` counts those of its weights."""
    kernel.place = min(kernel.place, calls.total())
    calls[id(kernel.variable)] += 1
    if is_traced(call.args, call.keywords):
        kernel.note = kernel.note or "inside a compiled loop"
    elif kernel.before is None:
        kernel.before = kernel.measure(call)
        tick()


def _treat(kernel, call, generator, tolerance, max_iterations):
    weights = orthonormal_kernel(generator, kernel.layer, kernel.kind, kernel.variable.shape)
    assign(kernel.variable, weights)
    variance, iterations = kernel.measure(call), 0
    while _is_usable(variance) and abs(variance - 1) >= tolerance and iterations < max_iterations:
        weights = weights / math.sqrt(variance)
        assign(kernel.variable, weights)
        variance, iterations = kernel.measure(call), iterations + 1
    _conclude(kernel, variance, iterations, tolerance)


def _is_usable(variance):
    return math.isfinite(variance) and variance > 0


def _conclude(kernel, variance, iterations, tolerance):
    if not _is_usable(variance):
        assign(kernel.variable, kernel.start)
        kernel.note = "zero or constant output" if variance == 0 else "output not finite"
        return
    kernel.after, kernel.iterations = variance, iterations
    if abs(variance - 1) >= tolerance:
        kernel.note = "not within the tolerance"
