// defines: PriorOptions and Priors, --prior-shift and --store of the commands that say probabilities
#pragma once

#include <nlohmann/json.hpp>

#include "tools/ptrain/cli.hpp"
#include "train/model.hpp"

namespace ptrain::cli {

struct PriorOptions {
  std::string shift = "model";  // model, none, em, or a share for each class: a,b
  bool store = false;
};
void bind(Command& command, PriorOptions& options);

// The class shares that the probabilities of a command are for.
class Priors {
 public:
  // Puts what the options say into `spec`, whose threshold may move along. Error{usage} for shares that are none.
  Priors(const PriorOptions& options, ModelSpec& spec);

  // Probabilities as the training leaves them (images × classes), adjusted; em: estimates the shares from them first.
  std::vector<double> adjust(std::vector<double> probabilities);
  std::string text() const;             // one line for the user; "" when nothing is adjusted
  nlohmann::ordered_json json() const;  // {source: model|em|given, shares {NAME: share}, p (of em)}, or null
  // --store: writes the shares into the model file. Call it last. Returns a line for the user; "" without --store.
  std::string store(const std::string& model) const;

 private:
  PriorOptions o_;
  ModelSpec& spec_;
  double p_ = 1;  // em: that the shares are those of the training
  size_t images_ = 0;
};

}  // namespace ptrain::cli
