// Mixed precision, what autotune chose, and the self-test, as a user runs them.
#include <regex>

#include <hdf5.h>

#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("float16 training writes the loss scale and the skipped steps") {
  const TempDir temp;
  make_data(temp / "data", 6);
  const std::string out = (temp / "run").string();
  const Finished trained = run_ptrain(
      quick_training((temp / "data").string(), out,
                     {"--device", "reference", "--precision", "fp16", "--image-size", "32", "--epochs", "1", "--fine-tune-epochs", "1"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(read_file(temp / "run" / "log.txt").find("on reference") != std::string::npos);
  std::istringstream lines(read_file(temp / "run" / "metrics.jsonl"));
  int epochs = 0;
  for (std::string line; std::getline(lines, line); ++epochs) {
    const nlohmann::json j = nlohmann::json::parse(line);
    CHECK(j["loss_scale"] == 32768);
    CHECK(j["skipped_steps"] == 0);
  }
  CHECK(epochs == 2);
  const Finished evaluated = run_ptrain({"evaluate", "--model", out + "/best.h5", "--data", (temp / "data").string(), "--json", "--device",
                                         "reference", "--precision", "fp16"});
  INFO(evaluated.err);
  CHECK(evaluated.code == 0);
  CHECK(evaluated.err.find("on reference") != std::string::npos);
}

TEST_CASE("float16 needs a device that computes in it") {
  const TempDir temp;
  make_data(temp / "data", 6);
  const Finished refused =
      run_ptrain(quick_training((temp / "data").string(), (temp / "run").string(), {"--device", "cpu", "--precision", "fp16"}));
  CHECK(refused.code == 2);
  CHECK(refused.err.find("bf16") != std::string::npos);
}

namespace {

std::string tuned_of(const std::filesystem::path& checkpoint) {
  const std::vector<char> bytes = WeightFileReader(checkpoint).state("tuned").bytes;
  return {bytes.begin(), bytes.end()};
}

void set_tuned(const std::filesystem::path& checkpoint, const std::string& text) {
  const hdf5::Handle file(H5Fopen(checkpoint.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  REQUIRE(H5Ldelete(file, "/state/tuned", H5P_DEFAULT) >= 0);
  const hsize_t size = text.size();
  const hdf5::Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
  const hdf5::Handle set(H5Dcreate2(file, "/state/tuned", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
  REQUIRE(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) >= 0);
}

}  // namespace

TEST_CASE("a training that goes on computes by the algorithms that autotune chose when it began") {
  const TempDir temp;
  make_data(temp / "data", 6);
  const Finished trained = run_ptrain(quick_training(
      temp / "data", temp / "run", {"--net", "densenet121", "--conv", "autotune", "--epochs", "1", "--fine-tune-epochs", "0"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const std::filesystem::path last = temp / "run/last.h5";
  const std::string measured = tuned_of(last);
  REQUIRE(measured.find("frozen 1x") != std::string::npos);

  // All choices the other way round: a new measurement would not find these.
  std::string turned = std::regex_replace(measured, std::regex(" direct\n"), " DIRECT\n");
  turned = std::regex_replace(turned, std::regex(" winograd\n"), " direct\n");
  turned = std::regex_replace(turned, std::regex(" DIRECT\n"), " winograd\n");
  REQUIRE(turned != measured);
  set_tuned(last, turned);
  const Finished went_on = run_ptrain({"train", "--resume", "--out", (temp / "run").string(), "--epochs", "2", "--quiet"});
  INFO(went_on.err);
  REQUIRE(went_on.code == 0);
  CHECK(tuned_of(last) == turned);
}

// What somebody with a GPU runs first must not fail there for a rounding.
TEST_CASE("selftest of the emulated GPU passes in all types") {
  const Finished tested = run_ptrain({"selftest", "--device", "cuda-sim", "--json"});
  INFO(tested.err);
  REQUIRE(tested.code == 0);
  const nlohmann::json j = nlohmann::json::parse(tested.out);
  CHECK(j["passed"] == true);
  CHECK(j["backend"] == "cuda-sim");
  CHECK(j["speed"].empty());  // of an emulator it would mean nothing
  std::map<std::string, int> checks;
  for (const nlohmann::json& check : j["checks"]) {
    ++checks[check["type"]];
    INFO(check.dump());
    CHECK(check["result"] != "failed");
  }
  for (const char* type : {"float32", "bfloat16", "float16"}) CHECK(checks[type] >= 52);
}

TEST_CASE("selftest of the CPU passes and says what it left out") {
  const Finished tested = run_ptrain({"selftest", "--device", "cpu", "--precision", "fp32", "--no-speed", "--json"});
  INFO(tested.err);
  REQUIRE(tested.code == 0);
  const nlohmann::json j = nlohmann::json::parse(tested.out);
  CHECK(j["passed"] == true);
  CHECK(j["device"] == "cpu");
  std::map<std::string, int> groups;
  for (const nlohmann::json& check : j["checks"]) {
    ++groups[check["group"]];
    CHECK(check["result"] != "failed");
  }
  CHECK(groups["operation"] >= 45);
  CHECK(groups["training"] == 2);
  CHECK(groups["net"] == 5);
}
