// Training on the emulated GPU as a user runs it: where the images lie, memory that runs out, float16 that diverges.
#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<std::string> training(const TempDir& temp, const std::string& out, std::vector<std::string> more) {
  std::vector<std::string> a{"--device", "cuda-sim", "--image-size", "32", "--augment", "light", "--epochs", "1"};
  a.insert(a.end(), more.begin(), more.end());
  return quick_training(temp / "data", temp / out, a);
}

}  // namespace

TEST_CASE("images lie on the device when they fit, else they are uploaded, with the same result") {
  const TempDir temp;
  make_data(temp / "data", 6);
  const Finished ample = run_ptrain(training(temp, "ample", {"--fine-tune-epochs", "0"}));
  INFO(ample.err);
  REQUIRE(ample.code == 0);
  CHECK(read_file(temp / "ample/log.txt").find("images: in the device's memory") != std::string::npos);
  const Finished uploaded = run_ptrain(training(temp, "scarce", {"--fine-tune-epochs", "0"}), {{"PTRAIN_SIMT_MEMORY", "78"}});
  INFO(uploaded.err);
  REQUIRE(uploaded.code == 0);
  CHECK(read_file(temp / "scarce/log.txt").find("images: uploaded batch by batch") != std::string::npos);
  CHECK(weights_of(temp / "scarce/best.h5") == weights_of(temp / "ample/best.h5"));
}

TEST_CASE("memory that runs out: what was wanted for what, and a batch that fits") {
  const TempDir temp;
  make_data(temp / "data", 20);
  const std::map<std::string, std::string> scarce{{"PTRAIN_SIMT_MEMORY", "114"}};
  const Finished full =
      run_ptrain(training(temp, "full", {"--batch", "32", "--fine-tune-epochs", "1", "--epochs", "0", "--fine-tune-top", "1"}), scarce);
  INFO(full.err);
  REQUIRE(full.code == 5);
  for (const char* part :
       {"training with batches of 32: ", "out of memory: ", " MiB are wanted, ", " of 114.0 MiB are free on cuda-sim", "try --batch "})
    CHECK_MESSAGE(full.err.find(part) != std::string::npos, part);
  const size_t at = full.err.find("try --batch ");
  REQUIRE(at != std::string::npos);
  const std::string batch = std::to_string(std::stoi(full.err.substr(at + 12)));
  const Finished fits =
      run_ptrain(training(temp, "fits", {"--batch", batch, "--fine-tune-epochs", "1", "--epochs", "0", "--fine-tune-top", "1"}), scarce);
  INFO(fits.err);
  CHECK(fits.code == 0);
}

TEST_CASE("float16 that cannot go on ends with 6, names the tensor and keeps the best model") {
  const TempDir temp;
  make_data(temp / "data", 14);
  const Finished diverged = run_ptrain(training(
      temp, "run", {"--precision", "fp16", "--batch", "1", "--fine-tune-epochs", "3", "--fine-tune-lr", "999", "--fine-tune-top", "0.1"}));
  INFO(diverged.err);
  CHECK(diverged.code == 6);
  for (const char* part : {"the gradients of 20 steps in a row", "in stage 'fine-tune'",
                           "the first tensor that is not finite is the output of ", "the best model so far is "})
    CHECK_MESSAGE(diverged.err.find(part) != std::string::npos, part);
  const Finished good =
      run_ptrain({"evaluate", "--model", (temp / "run/best.h5").string(), "--data", (temp / "data").string(), "--json", "--quiet"});
  INFO(good.err);
  REQUIRE(good.code == 0);
  CHECK(nlohmann::json::parse(good.out)["auc"].is_number());
  std::istringstream lines(read_file(temp / "run/metrics.jsonl"));
  std::string first;
  std::getline(lines, first);
  CHECK(nlohmann::json::parse(first)["skipped_steps"] == 0);
}
