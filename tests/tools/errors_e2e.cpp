// Everything that can be wrong with what a user gives: each has its own message and exit code.
#include <zlib.h>

#include "layers/weight_file.hpp"
#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// The run must end with this code and say all of these words.
void refused(const Finished& f, int code, const std::vector<std::string>& words) {
  INFO("exit code ", f.code, ": ", f.err);
  CHECK(f.code == code);
  CHECK(f.err.find("error: ") != std::string::npos);
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(f.err.find(word) != std::string::npos);
  }
}

std::string first_film(const std::filesystem::path& dir) {
  std::vector<std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(dir)) files.push_back(file.path().string());
  return *std::min_element(files.begin(), files.end());
}

// A PNG header that promises this size, and nothing behind it.
std::string png_header(uint32_t w, uint32_t h) {
  const auto number = [](uint32_t v) { return std::string{char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; };
  const std::string chunk = "IHDR" + number(w) + number(h) + std::string("\x08\0\0\0\0", 5);
  const auto sum = uint32_t(crc32(0, reinterpret_cast<const Bytef*>(chunk.data()), uInt(chunk.size())));
  return std::string("\x89PNG\r\n\x1a\n\0\0\0\r", 12) + chunk + number(sum);
}

}  // namespace

TEST_CASE("data folders that cannot be trained on") {
  const TempDir temp;
  refused(run_ptrain(quick_training(temp / "missing", temp / "run")), 3, {"missing"});
  make_data(temp / "one", 4);
  std::filesystem::remove_all(temp / "one/PNEUMONIA");
  refused(run_ptrain(quick_training(temp / "one", temp / "run")), 3, {"NORMAL", "two"});
  make_data(temp / "single", 4);
  size_t kept = 0;
  for (const auto& file : std::filesystem::directory_iterator(temp / "single/NORMAL"))
    if (kept++) std::filesystem::remove(file.path());
  refused(run_ptrain(quick_training(temp / "single", temp / "run")), 3, {"NORMAL"});
}

TEST_CASE("bad images are all named before the training starts") {
  const TempDir temp;
  make_data(temp / "data", 6);
  const std::string film = read_file(first_film(temp / "data/NORMAL"));
  write_file(temp / "data/NORMAL/empty.jpeg", "");
  write_file(temp / "data/NORMAL/half.jpeg", film.substr(0, film.size() / 2));
  write_file(temp / "data/PNEUMONIA/text.jpeg", "this is no picture");
  write_file(temp / "data/PNEUMONIA/huge.png", png_header(30000, 30000));
  refused(run_ptrain(quick_training(temp / "data", temp / "run")), 3, {"empty.jpeg", "half.jpeg", "text.jpeg", "huge.png", "30000"});
  const Finished skipped = run_ptrain(quick_training(temp / "data", temp / "run", {"--bad-images", "skip"}));
  INFO(skipped.err);
  CHECK(skipped.code == 0);
  CHECK(read_file(temp / "run/log.txt").find("half.jpeg") != std::string::npos);
}

TEST_CASE("weights of another net and incomplete weights") {
  const TempDir temp;
  make_data(temp / "data", 4);
  const auto train = [&](const std::string& net, const std::filesystem::path& weights) {
    std::vector<std::string> a = quick_training(temp / "data", temp / "run");
    a[2] = net, a[4] = weights.string();
    return run_ptrain(a);
  };
  refused(train("resnet50", sample() / "mobilenet_v2.h5"), 4, {"mobilenet_v2", "resnet50"});
  {
    const WeightFileReader from(sample() / "mobilenet_v2.h5");
    WeightFileWriter to(temp / "less.h5");
    to.attribute("net", std::string("mobilenet_v2"));
    for (const StoredTensor& t : from.tensors()) {
      if (t.key() == "block_3_expand_BN/beta") continue;
      std::vector<float> values(size_t(t.shape.size()));
      from.read(t, values);
      to.weight(t.layer, t.weight, t.shape, values);
    }
    to.commit();
  }
  refused(train("mobilenet_v2", temp / "less.h5"), 4, {"missing", "block_3_expand_BN/beta", "nothing was changed"});
  refused(train("mobilenet_v2", temp / "none.h5"), 4, {"none.h5"});
  write_file(temp / "text.h5", "no HDF5");
  refused(train("mobilenet_v2", temp / "text.h5"), 4, {"text.h5"});
}

TEST_CASE("options and configuration") {
  const TempDir temp;
  make_data(temp / "data", 4);
  refused(run_ptrain({"tarin"}), 2, {"did you mean train?"});
  refused(run_ptrain({"train", "--wieghts", "x"}), 2, {"--wieghts", "did you mean --weights?"});
  refused(run_ptrain({"train", "--data", "x", "--out", "y"}), 2, {"--weights"});
  write_file(temp / "bad.toml", "epoch = 3\n");
  refused(run_ptrain(quick_training(temp / "data", temp / "run", {"--config", (temp / "bad.toml").string()})), 2,
          {"epoch", "did you mean epochs?"});
  write_file(temp / "torn.toml", "epochs = \n");
  refused(run_ptrain(quick_training(temp / "data", temp / "run", {"--config", (temp / "torn.toml").string()})), 2, {"torn.toml", "line 1"});
  const auto with = [&](const std::string& option, const std::string& value) {
    return run_ptrain(quick_training(temp / "data", temp / "run", {option, value}));
  };
  refused(with("--net", "vgg"), 2, {"vgg16"});
  refused(with("--augment", "heavy"), 2, {"heavy"});
  refused(with("--class-weights", "1,2,3"), 2, {"1,2,3"});
  refused(with("--lr", "-1"), 2, {"learning rate"});
  refused(with("--batch", "0"), 2, {"--batch"});
  refused(with("--epochs", "many"), 2, {"--epochs"});
  refused(with("--monitor", "loss"), 2, {"val_loss"});
  refused(with("--precision", "fp16"), 2, {"bf16"});
  refused(with("--positive", "SICK"), 2, {"NORMAL", "PNEUMONIA"});
  refused(with("--freeze-until", "block_12_expnd"), 2, {"did you mean block_12_expand?"});
  refused(with("--image-size", "16"), 2, {"32"});
  refused(with("--device", "tpu"), 2, {"tpu"});
}

TEST_CASE("an output folder that cannot be written") {
  const TempDir temp;
  make_data(temp / "data", 4);
  write_file(temp / "file", "in the way");
  refused(run_ptrain(quick_training(temp / "data", temp / "file/run")), 1, {"file/run"});
}

TEST_CASE("a full disk while saving leaves the previous model intact") {
  const TempDir temp;
  make_data(temp / "data", 8);
  const std::filesystem::path out = temp / "run";
  REQUIRE(run_ptrain(quick_training(temp / "data", out, {"--epochs", "1", "--fine-tune-epochs", "0"})).code == 0);
  const std::string before = read_file(out / "best.h5");
  // No file may grow beyond 4 MiB: the model needs about 10.
  std::string command =
      "ulimit -f 4096; exec '" + bin("ptrain").string() + "' train --resume --epochs 3 --quiet --out '" + out.string() + "'";
  const Finished f = run({"bash", "-c", command});
  refused(f, 4, {"saving", ".h5", "too large"});
  CHECK(read_file(out / "best.h5") == before);
  for (const auto& file : std::filesystem::directory_iterator(out)) CHECK(file.path().extension() != ".tmp");
}

TEST_CASE("a cache that does not fit") {
  const TempDir temp;
  make_data(temp / "data", 20);
  const auto cached = [&](const std::string& tier, const std::string& megabytes) {
    return run_ptrain(
        quick_training(temp / "data", temp / "run",
                       {"--image-size", "224", "--epochs", "1", "--fine-tune-epochs", "0", "--cache", tier, "--cache-memory", megabytes}));
  };
  refused(cached("ram", "1"), 5, {"MiB"});
  CHECK(cached("automatic", "1").code == 0);
  CHECK(read_file(temp / "run/log.txt").find("cache: in a mapped file") != std::string::npos);
  CHECK(cached("none", "0").code == 0);
}

TEST_CASE("devices that are not here") {
  const TempDir temp;
  make_data(temp / "data", 4);
  refused(run_ptrain(quick_training(temp / "data", temp / "run", {"--device", "cuda"})), 5, {"cuda"});
}

TEST_CASE("evaluating something that does not fit") {
  const TempDir temp;
  make_data(temp / "data", 6);
  REQUIRE(run_ptrain(quick_training(temp / "data", temp / "run", {"--epochs", "1", "--fine-tune-epochs", "0"})).code == 0);
  const std::string model = (temp / "run/best.h5").string();
  refused(run_ptrain({"evaluate", "--model", (sample() / "mobilenet_v2.h5").string(), "--data", (temp / "data").string()}), 4, {"head"});
  std::filesystem::rename(temp / "data/NORMAL", temp / "data/HEALTHY");
  refused(run_ptrain({"evaluate", "--model", model, "--data", (temp / "data").string()}), 3, {"HEALTHY", "NORMAL"});
  refused(run_ptrain({"predict", "--model", model, (temp / "nothing.jpeg").string()}), 3, {"nothing.jpeg"});
}
