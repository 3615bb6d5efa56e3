"""Checks exported ONNX models and runs them. usage: check_onnx.py FOLDER

As check_keras.py, with {"onnx", "classes"} in each case. Exit code 77: onnx or onnxruntime is not here.
"""
import json, os, sys
try:
    import numpy as np
    import onnx
    import onnxruntime
except Exception as e:
    print("no ONNX:", e)
    sys.exit(77)

folder = sys.argv[1]
for case in json.load(open(os.path.join(folder, "cases.json"))):
    path = os.path.join(folder, case["onnx"])
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)], model.opset_import
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata.get("classes", "[]")) == case["classes"], metadata
    assert metadata["net"] == case["net"], metadata
    images, want = np.load(os.path.join(folder, case["images"])), np.load(os.path.join(folder, case["want"]))
    (got,) = session.run(None, {"images": images})
    if got.shape != want.shape:
        sys.exit(f"{case['onnx']}: shape {got.shape}, {want.shape} is wanted")
    worst, scale = float(np.abs(got - want).max()), float(np.abs(want).max())
    print(f"{case['onnx']}: checked; largest difference {worst:.3g} where values reach {scale:.3g}")
    if not worst <= case["tolerance"] * scale:
        sys.exit(f"{case['onnx']}: that is more than {case['tolerance']} of it")
    one = session.run(None, {"images": images[:1]})[0]  # the number of images is free
    assert np.allclose(one, got[:1], rtol=1e-4, atol=1e-6 * scale)
