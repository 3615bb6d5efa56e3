"""Loads exported models in Keras and compares what they predict. usage: check_keras.py FOLDER

FOLDER/cases.json lists the cases: {"net", "keras_net", "images", "want", "tolerance", "keras", "weights", "h5", "base"}. `images` are pixels
from 0 to 255; `want` is what ptrain computes. Exit code 77: Keras is not here.
"""
import json, os, sys
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
try:
    import numpy as np
    import keras
except Exception as e:  # a broken installation counts as none
    print("no Keras:", e)
    sys.exit(77)

MODULES = {"VGG16": "vgg16", "MobileNetV2": "mobilenet_v2", "DenseNet121": "densenet", "InceptionV3": "inception_v3", "ResNet50": "resnet50"}


def compare(what, got, want, tolerance):
    got = np.asarray(got)
    if got.shape != want.shape:
        sys.exit(f"{what}: shape {got.shape}, {want.shape} is wanted")
    scale = float(np.abs(want).max())
    worst = float(np.abs(got - want).max())
    print(f"{what}: largest difference {worst:.3g} where values reach {scale:.3g}")
    if not worst <= tolerance * scale:
        sys.exit(f"{what}: that is more than {tolerance} of it")


folder = sys.argv[1]
for case in json.load(open(os.path.join(folder, "cases.json"))):
    path = lambda name: os.path.join(folder, case[name])
    application = getattr(keras.applications, MODULES[case["keras_net"]])
    images = application.preprocess_input(np.load(path("images")).copy())
    want, tolerance, name = np.load(path("want")), case["tolerance"], case["keras"]

    model = keras.models.load_model(path("keras"))
    compare(f"{name}: load_model", model.predict(images, verbose=0), want, tolerance)

    old = keras.models.load_model(path("h5"))
    compare(f"{case['h5']}: load_model", old.predict(images, verbose=0), want, tolerance)
    for a, b in zip(model.weights, old.weights, strict=True):
        assert np.array_equal(a, b), f"{a.path} differs between {name} and {case['h5']}"

    fresh = keras.models.clone_model(model)  # new weights, the same layers
    if case["base"]:  # Keras' own net takes a base's weights
        fresh = getattr(application, case["keras_net"])(weights=None, include_top=False, input_shape=images.shape[1:])
    fresh.load_weights(path("weights"))
    compare(f"{case['weights']}: load_weights", fresh.predict(images, verbose=0), want, tolerance)

    trained = keras.models.load_model(path("keras"))  # what was loaded can be trained
    if not case["base"]:
        trained.compile("sgd", "sparse_categorical_crossentropy")
        loss = trained.train_on_batch(images, np.zeros(len(images), "int64"))
        assert np.isfinite(loss), f"{name}: the loss of a training step is {loss}"
