// Class shares: estimated on images without labels, given, stored in the model, used by every command, taken out again.
#include <cmath>

#include "data/csv.hpp"
#include "tests/tools/program.hpp"
#include "train/prior_shift.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

using Json = nlohmann::json;

struct Trained {
  explicit Trained(const std::string& point = "youden") {
    make_data(temp / "data", 12);
    const Finished f = run_ptrain(quick_training(temp / "data", temp / "run", {"--fine-tune-epochs", "0", "--operating-point", point}));
    INFO(f.err);
    REQUIRE(f.code == 0);
  }
  std::string model() const { return (temp / "run/best.h5").string(); }
  std::string films() const { return (temp / "data").string(); }
  Finished predict(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"predict", "--model", model(), films(), "--json"});
    return run_ptrain(more);
  }
  TempDir temp;
};

std::vector<double> of(const Json& predicted, const std::string& name) {
  std::vector<double> p;
  for (const auto& one : predicted) p.push_back(one["probabilities"][name]);
  return p;
}
std::vector<std::string> decided(const Json& predicted) {
  std::vector<std::string> d;
  for (const auto& one : predicted) d.push_back(one["class"]);
  return d;
}

}  // namespace

TEST_CASE("class shares are given, estimated, stored and taken out") {
  const Trained t;
  const Json plain = Json::parse(t.predict({"--quiet"}).out);
  const std::vector<double> p = of(plain, "PNEUMONIA");
  CHECK(plain[0]["prior_shift"].is_null());
  CHECK(std::get<std::vector<double>>(WeightFileReader(t.model()).attributes().at("training_priors")) == std::vector<double>{0.5, 0.5});
  CHECK(WeightFileReader(t.model()).text("operating_point") == "youden");

  // Given: odds are multiplied by the ratio of the shares; the threshold of a rule moves along.
  const Finished given = t.predict({"--prior-shift=0.8,0.2"});
  CHECK(given.err.find("class shares NORMAL 0.8000, PNEUMONIA 0.2000, as given") != std::string::npos);
  const Json adjusted = Json::parse(given.out);
  for (size_t i = 0; i < p.size(); ++i) CHECK(close(of(adjusted, "PNEUMONIA")[i], 0.2 * p[i] / (0.2 * p[i] + 0.8 * (1 - p[i])), 1e-12, 0));
  CHECK(decided(adjusted) == decided(plain));
  const double at = plain[0]["threshold"], moved = adjusted[0]["threshold"];
  CHECK(close(moved, 0.2 * at / (0.2 * at + 0.8 * (1 - at)), 1e-12, 0));
  CHECK(adjusted[0]["prior_shift"] == Json::parse(R"({"source":"given","shares":{"NORMAL":0.8,"PNEUMONIA":0.2}})"));

  // Estimated on the images.
  const Json em = Json::parse(t.predict({"--prior-shift"}).out);
  std::vector<double> table;
  for (const double v : p) table.push_back(1 - v), table.push_back(v);
  const PriorShift want = fit_prior_shift(table, std::vector<double>{0.5, 0.5});
  CHECK(em[0]["prior_shift"]["source"] == "em");
  CHECK(close(em[0]["prior_shift"]["shares"]["PNEUMONIA"].get<double>(), std::clamp(want.priors[1], 1e-6, 1 - 1e-6), 1e-6, 0));
  CHECK(em[0]["prior_shift"]["p"].get<double>() <= 1);

  // Stored: everything that says probabilities uses them without being asked.
  const std::string before = read_file(t.model());
  const Finished stored = t.predict({"--prior-shift=0.8,0.2", "--store"});
  INFO(stored.err);
  REQUIRE(stored.code == 0);
  CHECK(stored.err.find("is for these class shares now") != std::string::npos);
  CHECK(read_file(t.model()) != before);
  CHECK(std::get<std::vector<double>>(WeightFileReader(t.model()).attributes().at("priors")) == std::vector<double>{0.8, 0.2});
  CHECK(WeightFileReader(t.model()).number("threshold") == moved);
  CHECK(WeightFileReader(t.model()).has_attribute("validation"));  // the rest is as it was
  const Finished used = t.predict();
  CHECK(used.err.find("as the model file says") != std::string::npos);
  CHECK(of(Json::parse(used.out), "PNEUMONIA") == of(adjusted, "PNEUMONIA"));
  CHECK(Json::parse(used.out)[0]["prior_shift"]["source"] == "model");
  CHECK(decided(Json::parse(used.out)) == decided(plain));
  const Finished evaluated = run_ptrain({"evaluate", "--model", t.model(), "--data", t.films(), "--json", "--quiet"});
  CHECK(Json::parse(evaluated.out)["prior_shift"]["shares"]["NORMAL"] == 0.8);
  CHECK(Json::parse(evaluated.out)["threshold"] == moved);
  const Finished csv = run_ptrain({"predict", "--model", t.model(), t.films(), "--csv", "--quiet"});
  CHECK(parse_csv(csv.out, "predict").at(1).at(7) == "0.8 0.2");
  CHECK(csv.err == "");
  const Finished explained = run_ptrain({"explain", "--model", t.model(), plain[0]["path"].get<std::string>(), "--out",
                                         (t.temp / "maps").string(), "--class", "PNEUMONIA", "--json", "--quiet"});
  CHECK(close(Json::parse(explained.out)[0]["probability"].get<double>(), of(adjusted, "PNEUMONIA")[0], 1e-4, 0));

  // An exported model says the same.
  REQUIRE(run_ptrain({"export", t.model(), "--format", "keras", "--out", (t.temp / "m.keras").string()}).code == 0);
  const Finished back = run({bin("ptrain-convert").string(), (t.temp / "m.keras").string(), "--out", (t.temp / "back.h5").string(),
                             "--classes", "NORMAL,PNEUMONIA"});
  INFO(back.err);
  REQUIRE(back.code == 0);
  const Json exported = Json::parse(run_ptrain({"predict", "--model", (t.temp / "back.h5").string(), t.films(), "--json", "--quiet"}).out);
  CHECK(exported[0]["prior_shift"].is_null());
  CHECK(difference(of(exported, "PNEUMONIA"), of(adjusted, "PNEUMONIA"), 1e-5, 0) == "");

  // The file is asked to say nothing for once, and for good.
  CHECK(difference(of(Json::parse(t.predict({"--prior-shift=none"}).out), "PNEUMONIA"), p, 1e-12, 0) == "");
  REQUIRE(t.predict({"--prior-shift=none", "--store"}).code == 0);
  CHECK_FALSE(WeightFileReader(t.model()).has_attribute("priors"));
  CHECK(close(WeightFileReader(t.model()).number("threshold"), at, 1e-12, 0));
  CHECK(of(Json::parse(t.predict().out), "PNEUMONIA") == p);
}

TEST_CASE("shares that an evaluation estimates are stored and leave a line in the ledger") {
  const Trained t;
  const Finished f = run_ptrain({"evaluate", "--model", t.model(), "--data", t.films(), "--json", "--quiet", "--prior-shift", "--store"});
  INFO(f.err);
  REQUIRE(f.code == 0);
  const Json line = Json::parse(read_file(t.temp / "run/best.ledger.jsonl"));
  CHECK(line["stored"] == true);
  CHECK(line["prior_shift"]["source"] == "em");
  const Json shares = Json::parse(f.out)["prior_shift"]["shares"];
  CHECK(std::get<std::vector<double>>(WeightFileReader(t.model()).attributes().at("priors"))[1] == shares["PNEUMONIA"].get<double>());
}

TEST_CASE("a threshold that is a probability stays where it is") {
  const Trained t("0.5");
  const Json adjusted = Json::parse(t.predict({"--prior-shift=0.99,0.01"}).out);
  for (const auto& one : adjusted) {
    CHECK(one["threshold"] == 0.5);
    CHECK(one["class"] == (one["probabilities"]["PNEUMONIA"].get<double>() >= 0.5 ? "PNEUMONIA" : "NORMAL"));
  }
  CHECK(Json::parse(t.predict({"--prior-shift=0.99,0.01", "--threshold", "0.3"}).out)[0]["threshold"] == 0.3);
}

TEST_CASE("shares that are none are refused before anything is changed") {
  const Trained t;
  const std::string before = read_file(t.model());
  for (const char* bad : {"--prior-shift=0.5", "--prior-shift=0.5,0.6", "--prior-shift=0,1", "--prior-shift=nan,0.5",
                          "--prior-shift=-0.5,1.5", "--prior-shift=0.2,0.3,0.5", "--prior-shift=often", "--prior-shift=0.5,0.5x"}) {
    const Finished f = t.predict({bad, "--store"});
    INFO(bad, f.err);
    CHECK(f.code == 2);
    CHECK(f.err.find("NORMAL,PNEUMONIA") != std::string::npos);
  }
  CHECK(t.predict({"--store"}).code == 2);
  const Finished few = run_ptrain({"predict", "--model", t.model(), t.films() + "/NORMAL", "--prior-shift", "--store"});
  CHECK(few.code == 3);
  CHECK(few.err.find("at least 20") != std::string::npos);
  CHECK(run_ptrain({"predict", "--model", t.model(), t.films() + "/NORMAL", "--prior-shift"}).err.find("WARNING") != std::string::npos);
  const Finished checkpoint =
      run_ptrain({"predict", "--model", (t.temp / "run/last.h5").string(), t.films(), "--prior-shift=0.5,0.5", "--store"});
  CHECK(checkpoint.code == 2);
  CHECK(checkpoint.err.find("best.h5") != std::string::npos);
  CHECK(read_file(t.model()) == before);
}
