// ptrain bench measures every mode, and says which bound each layer meets.
#include <nlohmann/json.hpp>

#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("bench measures every mode of a net") {
  const Finished f = run_ptrain({"bench", "--net", "mobilenet_v2", "--mode", "infer,frozen,fine-tune,full", "--batch", "4", "--threads",
                                 "2", "--seconds", "0", "--json"});
  REQUIRE(f.code == 0);
  const auto rows = nlohmann::json::parse(f.out);
  REQUIRE(rows.size() == 4);
  const std::vector<std::string> modes{"infer", "frozen", "fine-tune", "full"};
  for (size_t i = 0; i < 4; ++i) {
    const auto& r = rows[i];
    CAPTURE(r.dump());
    CHECK(r["net"] == "mobilenet_v2");
    CHECK(r["mode"] == modes[i]);
    CHECK(r["precision"] == "fp32");
    CHECK(r["batch"] == 4);
    CHECK(r["threads"] == 2);
    for (const char* key : {"images_per_s_best", "images_per_s_median", "gflops", "peak_gflops", "share", "first_step_s"})
      CHECK(r[key].get<double>() > 0);
    CHECK(r["images_per_s_best"].get<double>() >= r["images_per_s_median"].get<double>());
    CHECK(r["share"].get<double>() < 1);
    CHECK(r["rss_mb"].get<int64_t>() > 20);
  }
  // 300.8 million multiply-adds forward; everything trained costs nearly three times as much.
  const double forward = rows[0]["gflops"].get<double>() / rows[0]["images_per_s_median"].get<double>(),
               full = rows[3]["gflops"].get<double>() / rows[3]["images_per_s_median"].get<double>();
  CHECK(forward == doctest::Approx(0.6).epsilon(0.05));
  CHECK(full / forward == doctest::Approx(3).epsilon(0.05));
}

TEST_CASE("bench lists the layers of a net with their bounds") {
  const Finished f = run_ptrain(
      {"bench", "--net", "mobilenet_v2", "--mode", "infer", "--batch", "2", "--threads", "1", "--seconds", "0", "--layers", "--json"});
  REQUIRE(f.code == 0);
  const auto layers = nlohmann::json::parse(f.out)[0]["layers"];
  std::map<std::string, nlohmann::json> by_name;
  for (const auto& l : layers) by_name[l["layer"]] = l;
  REQUIRE(by_name.contains("Conv_1"));
  CHECK(by_name["Conv_1"]["mflop"].get<double>() == doctest::Approx(2 * 7 * 7 * 320 * 1280 / 1e6).epsilon(0.001));
  CHECK(by_name["Conv_1"]["ms"].get<double>() > 0);
  REQUIRE(by_name.contains("block_1_expand"));  // with what follows it
  CHECK(by_name["block_1_expand"]["op"] == "inverted_residual");
  CHECK(by_name["block_1_expand"]["mflop"].get<double>() ==
        doctest::Approx(2 * (112 * 112 * 16 * 96 + 56 * 56 * (9 * 96 + 96 * 24)) / 1e6).epsilon(0.001));
  for (const auto& l : layers) {
    const std::string bound = l["bound"];
    CHECK((bound == "arithmetic" || bound == "cache" || bound == "memory"));
  }
}

TEST_CASE("bench refuses a mode that it does not know") {
  const Finished f = run_ptrain({"bench", "--mode", "predict"});
  CHECK(f.code == 2);
  CHECK(f.err.find("infer, frozen, fine-tune, full") != std::string::npos);
}
