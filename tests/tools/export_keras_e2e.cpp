// Exported models in Keras and in onnxruntime, where Python has them: PTRAIN_PYTHON names the interpreter (python3 unless given).
#include <cstdlib>

#include "data/npy.hpp"
#include "tests/tools/program.hpp"
#include "tests/tools/support/export_case.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::string python() {
  const char* named = std::getenv("PTRAIN_PYTHON");
  return named && *named ? named : "python3";
}

// Exports a base, a classifier, and for some nets the top, in every format, and hands all of them to the script.
void check_in_python(const std::string& script, const std::string& net_name, std::vector<ExportKind> kinds) {
  const std::string path = (source_dir() / "tests/keras").string() + "/" + script;
  if (const Finished probe = run({"sh", "-c", "command -v " + python()}); probe.code != 0) return skip("keras", "no " + python());
  const TempDir dir;
  {
    std::ofstream(dir / "cases.json") << "[]";
    const Finished probe = run({python(), path, dir.path().string()});
    if (probe.code == 77) return skip("keras", probe.out);
    REQUIRE_MESSAGE(probe.code == 0, probe.err);
  }
  const NetInfo& net = find_net(net_name);
  nlohmann::json cases = nlohmann::json::array();
  for (const ExportKind kind : kinds) {
    const std::string name = kind == ExportKind::base ? "base" : kind == ExportKind::top ? "top" : "classifier";
    // The temperature keeps the probabilities of these random weights away from 0 and 1.
    const ExportCase c = make_export_case(net, kind, dir / (name + ".model"), 40);
    if (kind == ExportKind::classifier) CHECK(*std::max_element(c.want.begin(), c.want.end()) < 0.999f);
    write_npy(dir / (name + "_images.npy"), c.pixels_shape, c.pixels);
    write_npy(dir / (name + "_want.npy"), c.shape, c.want);
    const std::pair<const char*, const char*> formats[] = {
        {"keras", ".keras"}, {"keras-weights", ".weights.h5"}, {"keras-h5", ".h5"}, {"onnx", ".onnx"}};
    for (const auto& [format, end] : formats) {
      const Finished f = run_ptrain({"export", c.model.string(), "--format", format, "--out", (dir / (name + end)).string()});
      CAPTURE(f.err);
      REQUIRE(f.code == 0);
    }
    cases.push_back({{"net", net.name},
                     {"keras_net", net.keras_name},
                     {"base", kind == ExportKind::base},
                     {"classes", c.classes},
                     {"tolerance", 1e-4},
                     {"images", name + "_images.npy"},
                     {"want", name + "_want.npy"},
                     {"keras", name + ".keras"},
                     {"weights", name + ".weights.h5"},
                     {"h5", name + ".h5"},
                     {"onnx", name + ".onnx"}});
  }
  std::ofstream(dir / "cases.json") << cases.dump();
  const Finished f = run({python(), path, dir.path().string()});
  CAPTURE(f.err);
  CHECK(f.code == 0);
  MESSAGE(f.out);
}

const std::vector<ExportKind> kTwo = {ExportKind::classifier, ExportKind::base},
                              kThree = {ExportKind::classifier, ExportKind::base, ExportKind::top};

}  // namespace

TEST_CASE("Keras predicts the same with an exported VGG16") { check_in_python("check_keras.py", "vgg16", kThree); }
TEST_CASE("Keras predicts the same with an exported MobileNetV2") { check_in_python("check_keras.py", "mobilenet_v2", kThree); }
TEST_CASE("Keras predicts the same with an exported DenseNet121") { check_in_python("check_keras.py", "densenet121", kTwo); }
TEST_CASE("Keras predicts the same with an exported InceptionV3") { check_in_python("check_keras.py", "inception_v3", kTwo); }
TEST_CASE("Keras predicts the same with an exported ResNet50") { check_in_python("check_keras.py", "resnet50", kTwo); }
TEST_CASE("ONNX predicts the same with an exported VGG16") { check_in_python("check_onnx.py", "vgg16", kThree); }
TEST_CASE("ONNX predicts the same with an exported MobileNetV2") { check_in_python("check_onnx.py", "mobilenet_v2", kThree); }
TEST_CASE("ONNX predicts the same with an exported DenseNet121") { check_in_python("check_onnx.py", "densenet121", kTwo); }
TEST_CASE("ONNX predicts the same with an exported InceptionV3") { check_in_python("check_onnx.py", "inception_v3", kTwo); }
TEST_CASE("ONNX predicts the same with an exported ResNet50") { check_in_python("check_onnx.py", "resnet50", kTwo); }
