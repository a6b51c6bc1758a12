"""Quantiles of the normal distribution, the same bits on every machine.

Only +, -, *, / and sqrt are used, which IEEE 754 rounds correctly everywhere; the logarithm of a
libm, or of a vector unit, may differ in its last bit from the next one's.
"""

from __future__ import annotations

from archspec._numpy import Array, np

# Numerators and denominators of M. J. Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37,
# 1988, from the highest power down: for 0.075 <= u <= 0.925, outside of that, and below 1.4e-11.
CENTRE = (
    (
        2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
        4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
        1.3314166789178437745e2, 3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
        2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
        4.2313330701600911252e1, 1.0,
    ),
)  # fmt: skip
TAIL = (
    (
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
        1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
        4.63033784615654529590e0, 1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
        1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
        2.05319162663775882187e0, 1.0,
    ),
)  # fmt: skip
FAR = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
        2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
        5.46378491116411436990e0, 6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
        7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
        5.99832206555887937690e-1, 1.0,
    ),
)  # fmt: skip
LN2 = 0.6931471805599453
TERMS = tuple(1 / (2 * k + 1) for k in range(10, -1, -1))


def quantile(u: Array) -> Array:
    """Return the quantiles of a standard normal variable at 0 < u < 1, to about 1e-15 of each.

    >>> quantile(np.array([0.5, 0.975])).round(6).tolist()
    [0.0, 1.959964]
    """
    q = u - 0.5
    x = _ratio(CENTRE, 0.180625 - q * q) * q
    outside = np.abs(q) > 0.425
    side = q[outside]
    r = np.sqrt(-log(np.minimum(u[outside], 1 - u[outside])))
    tail = _ratio(TAIL, r - 1.6)
    far = r > 5
    tail[far] = _ratio(FAR, r[far] - 5)
    x[outside] = np.where(side < 0, -tail, tail)
    return x


def log(x: Array) -> Array:
    """Return the natural logarithm of positive numbers.

    ln(m * 2**e) = e * ln 2 + 2 artanh((m - 1)/(m + 1)), which is an odd series.

    >>> log(np.array([1.0, 1e-300])).tolist()
    [0.0, -690.7755278982137]
    """
    m, e = np.frexp(x)
    low = m < 0.7071067811865476
    m, e = np.where(low, 2 * m, m), e - low
    s = (m - 1) / (m + 1)
    return e * LN2 + 2 * s * _polynomial(TERMS, s * s)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], r: Array) -> Array:
    return _polynomial(coefficients[0], r) / _polynomial(coefficients[1], r)


def _polynomial(coefficients: tuple[float, ...], r: Array) -> Array:
    value = np.full_like(r, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= r
        value += coefficient
    return value
