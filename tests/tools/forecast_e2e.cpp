#include <nlohmann/json.hpp>

#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("a dry run says memory and time of each stage and writes nothing") {
  const TempDir temp;
  make_data(temp / "data", 8);
  const Finished f = run_ptrain(quick_training(temp / "data", temp / "run", {"--dry-run"}));
  INFO(f.err);
  REQUIRE(f.code == 0);
  CHECK(!std::filesystem::exists(temp / "run"));
  for (const char* said : {"memory      about ", "stage 'frozen': ", "stage 'fine-tune': ", " s a step", "peak memory "})
    CHECK(f.err.find(said) != std::string::npos);
}

TEST_CASE("a training says how much memory it will take and keeps to it") {
  const TempDir temp;
  make_data(temp / "data", 12);
  const Finished f = run_ptrain({"train",
                                 "--net",
                                 "mobilenet_v2",
                                 "--weights",
                                 "formula",
                                 "--data",
                                 (temp / "data").string(),
                                 "--out",
                                 (temp / "run").string(),
                                 "--image-size",
                                 "128",
                                 "--batch",
                                 "16",
                                 "--epochs",
                                 "1",
                                 "--fine-tune-epochs",
                                 "1",
                                 "--fine-tune-top",
                                 "1",
                                 "--bn",
                                 "train",
                                 "--json"});
  INFO(f.err);
  REQUIRE(f.code == 0);
  const size_t at = f.err.find("memory      about ");
  REQUIRE(at != std::string::npos);
  const double planned = std::stod(f.err.substr(at + 18));
  const double peak = nlohmann::json::parse(f.out)["peak_rss_mb"].get<double>();
  INFO(planned, " MiB planned, peak ", peak);
  CHECK(planned > 100);
  CHECK(peak < planned + 80);  // the program itself, primitives, scratch memory
  CHECK(peak > planned - 40);
}

TEST_CASE("what was chosen automatically stands in resolved.toml and is not chosen again") {
  const TempDir temp;
  make_data(temp / "data", 6);
  const Finished f = run_ptrain(
      quick_training(temp / "data", temp / "run", {"--batch", "auto", "--precision", "auto", "--epochs", "1", "--fine-tune-epochs", "0"}));
  INFO(f.err);
  REQUIRE(f.code == 0);
  const std::string resolved = read_file(temp / "run/resolved.toml");
  CHECK(resolved.find("batch = 32\n") != std::string::npos);
  const bool fp32 = resolved.find("precision = \"fp32\"\n") != std::string::npos,
             bf16 = resolved.find("precision = \"bf16\"\n") != std::string::npos;
  CHECK(fp32 != bf16);
  const Finished again = run_ptrain({"train", "--resume", "--out", (temp / "run").string(), "--epochs", "2"});
  INFO(again.err);
  CHECK(again.code == 0);
  CHECK(again.err.find("the fastest of") == std::string::npos);
}
