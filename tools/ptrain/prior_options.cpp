#include "tools/ptrain/prior_options.hpp"

#include <charconv>
#include <cmath>

#include <fmt/ranges.h>

#include "train/class_priors.hpp"
#include "train/prior_shift.hpp"

namespace ptrain::cli {
namespace {

constexpr double kLeastShare = 1e-6;  // EM on a few images may say that there is none of a class
constexpr size_t kFewestStored = 20;  // images from which shares may be estimated that a model keeps

// "0.4,0.6": one share a class.
std::vector<double> parse_shares(const std::string& text, const std::vector<std::string>& classes) {
  std::vector<double> shares;
  double sum = 0;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    double share = 0;
    const auto [stop, error] = std::from_chars(at, end, share);
    if (error != std::errc() || (stop < end && *stop != ',') || !(share > 0 && share < 1)) break;
    shares.push_back(share), sum += share;
    at = stop + 1;
    if (stop == end) at = end;
  }
  if (shares.size() != classes.size() || !(std::fabs(sum - 1) <= 1e-3))
    fail(ErrorKind::usage, "--prior-shift=", text, ": known are model, none, em, or ", classes.size(),
         " shares between 0 and 1 that sum to 1, in the order ", fmt::format("{}", fmt::join(classes, ",")));
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace

void bind(Command& c, PriorOptions& o) {
  c.app().add_flag("--prior-shift{em}", o.shift,
                   "class shares that the probabilities are for: --prior-shift (estimated on these images without their labels, EM), "
                   "--prior-shift=a,b (one share a class), "
                   "--prior-shift=none (those of the training); unless given what the model file says");
  c.flag("--store", o.store,
         "write these shares into the model file: predict, evaluate, explain and export then use them (--prior-shift=none --store takes "
         "them out)");
}

Priors::Priors(const PriorOptions& options, ModelSpec& spec) : o_(options), spec_(spec) {
  if (o_.store && o_.shift == "model")
    fail(ErrorKind::usage, "--store: nothing to store; give --prior-shift, --prior-shift=a,b or --prior-shift=none");
  if (o_.shift == "none" || o_.shift == "em") set_priors(spec_, {});
  else if (o_.shift != "model") set_priors(spec_, parse_shares(o_.shift, spec_.classes));
}

std::vector<double> Priors::adjust(std::vector<double> p) {
  images_ = p.size() / spec_.classes.size();
  if (o_.store && o_.shift == "em" && images_ < kFewestStored)
    fail(ErrorKind::data, "--store: class shares that ", images_, " images tell are not worth keeping; at least ", kFewestStored,
         " are needed\n  give known shares instead: --prior-shift=a,b");
  if (o_.shift == "em" && images_ > 0) {
    PriorShift shift = fit_prior_shift(p, training_priors(spec_));
    double sum = 0;
    for (double& share : shift.priors) sum += share = std::max(share, kLeastShare);
    for (double& share : shift.priors) share /= sum;
    p_ = shift.p;
    set_priors(spec_, shift.priors);
  }
  return with_priors(spec_, std::move(p));
}

std::string Priors::text() const {
  if (spec_.priors.empty()) return "";
  std::vector<std::string> shares;
  for (size_t c = 0; c < spec_.classes.size(); ++c) shares.push_back(fmt::format("{} {:.4f}", spec_.classes[c], spec_.priors[c]));
  std::string text = fmt::format("prior shift: probabilities are for the class shares {}", fmt::join(shares, ", "));
  if (o_.shift == "model") return text + ", as the model file says";
  if (o_.shift != "em") return text + ", as given";
  text +=
      fmt::format(", estimated on these {} images without their labels (EM; p = {:.3g} that they are those of the training)", images_, p_);
  return images_ < kFewestStored ? text + "\nWARNING: so few images hardly tell their class shares" : text;
}

nlohmann::ordered_json Priors::json() const {
  if (spec_.priors.empty()) return nullptr;
  nlohmann::ordered_json shares;
  for (size_t c = 0; c < spec_.classes.size(); ++c) shares[spec_.classes[c]] = spec_.priors[c];
  const bool em = o_.shift == "em";
  nlohmann::ordered_json j{{"source", o_.shift == "model" ? "model" : em ? "em" : "given"}, {"shares", shares}};
  if (em) j["p"] = p_;
  return j;
}

std::string Priors::store(const std::string& model) const {
  if (!o_.store) return "";
  store_priors(model, spec_.priors);
  return spec_.priors.empty() ? model + " is for the class shares of its training again" : model + " is for these class shares now";
}

}  // namespace ptrain::cli
